import { type HostTensor, hostTensor } from '@star-webgpu/tensor-webgpu';
import { hashedValues } from '@star-webgpu/tensor-webgpu/testing';

export const goldenFile = (name: string): URL => new URL(`../../test/golden/${name}`, import.meta.url);

/** What a golden's manifest says of its weights. */
export interface Manifest {
  readonly seed_name: string;
  readonly tensors: readonly (readonly [name: string, shape: number[], scale: number, offset: number])[];
}

/** Weights of a manifest, filled by hash. */
export function goldenWeights({ seed_name, tensors }: Manifest): Map<string, HostTensor> {
  return new Map(
    tensors.map(([name, shape, scale, offset]) => {
      const count = shape.reduce((product, side) => product * side, 1);
      const values = hashedValues(seed_name.replace('{name}', name), count, scale, offset);
      return [name, hostTensor(values, shape)];
    }),
  );
}

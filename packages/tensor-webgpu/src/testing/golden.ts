import { readFile } from 'node:fs/promises';
import { hostFloats, type HostTensor, hostTensor } from '../io/host-tensor.ts';
import { readSafetensors } from '../io/safetensors.ts';
import { sizeOf, type Shape } from '../shape.ts';
import { hashedValues } from './hashed.ts';

/** A reference tensor: shape and values. */
export interface GoldenTensor {
  readonly shape: Shape;
  readonly values: Float32Array;
}

/** Reads a safetensors file of reference numbers. */
export async function loadGolden(url: URL): Promise<Map<string, GoldenTensor>> {
  const tensors = readSafetensors(await readFile(url));
  return new Map([...tensors].map(([name, host]) => [name, { shape: host.shape, values: hostFloats(host) }]));
}

/** Reads a JSON file of reference numbers. */
export async function loadGoldenJson<T>(url: URL): Promise<T> {
  return JSON.parse(await readFile(url, 'utf8')) as T;
}

/** How the weights behind reference numbers were made: by name, shape and hash, with `{name}` in the hash's own name. */
export interface Manifest {
  readonly seed_name: string;
  readonly tensors: readonly (readonly [name: string, shape: Shape, scale: number, offset: number])[];
}

/** The weights that a reference was run with, or some of them. */
export const goldenWeights = (
  { seed_name: seed, tensors }: Manifest,
  isWanted: (name: string) => boolean = () => true,
): Map<string, HostTensor> =>
  new Map(
    tensors
      .filter(([name]) => isWanted(name))
      .map(([name, shape, scale, offset]) => [
        name,
        hostTensor(hashedValues(seed.replace('{name}', name), sizeOf(shape), scale, offset), shape),
      ]),
  );

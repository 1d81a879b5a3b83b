import { backward, hostTensor, type Module, scope, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import {
  type GoldenTensor,
  hashedValues,
  loadGolden,
  loadGoldenJson,
  type Manifest,
} from '@star-webgpu/tensor-webgpu/testing';
import { expect } from 'vitest';

/** Numbers of a reference, how its weights were made, and the config of its model. */
export interface Reference {
  readonly manifest: Manifest & { readonly config: Record<string, number> };
  readonly golden: ReadonlyMap<string, GoldenTensor>;
  /** One of the numbers as u32 on the device. */
  readonly integers: (name: string) => Tensor;
}

/** A reference by the name of its files. */
export async function loadReference(name: string): Promise<Reference> {
  const file = (ending: string): URL => new URL(`../../test/golden/${name}${ending}`, import.meta.url);
  const golden = await loadGolden(file('.safetensors'));
  return {
    manifest: await loadGoldenJson<Reference['manifest']>(file('_manifest.json')),
    golden,
    integers: (one) => tensor(golden.get(one)!.values, golden.get(one)!.shape, { dtype: 'u32' }),
  };
}

/** Compares the recorded gradient of every parameter with central differences along a direction; weights are large enough that each matters. */
export async function expectParameterGradients(model: Module, loss: () => Tensor): Promise<void> {
  const parameters = [...model.namedParameters()];
  const values = new Map(
    parameters.map(([name, { shape, size }]) => [name, { shape, now: hashedValues(name, size, 0.5, 0.1) }]),
  );
  const load = (moved = '', step = 0): void => {
    const stored = [...values].map(([name, { shape, now }]) => {
      const direction = hashedValues(`direction/${name}`, now.length);
      return [name, hostTensor(name === moved ? now.map((v, i) => v + step * direction[i]!) : now, shape)] as const;
    });
    model.load(new Map(stored));
  };
  const lossAt = async (name: string, step: number): Promise<number> => {
    load(name, step);
    return scope(loss).item();
  };
  load();
  const gradients = scope(() =>
    backward(
      loss(),
      parameters.map(([, parameter]) => parameter),
    ),
  );
  for (const [index, [name, { size }]] of parameters.entries()) {
    const direction = hashedValues(`direction/${name}`, size);
    const got = (await gradients[index]!.data()).reduce((total, g, i) => total + g * direction[i]!, 0);
    const want = ((await lossAt(name, 0.01)) - (await lossAt(name, -0.01))) / 0.02;
    // The loss is of order 10 in float32: its rounding over the step leaves about 1e-4, the curvature a little more.
    expect(Math.abs(got - want), `${name}: ${got} instead of ${want}`).toBeLessThan(5e-3 * (Math.abs(want) + 1));
  }
}

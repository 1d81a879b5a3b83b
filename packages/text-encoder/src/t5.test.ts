import { add, backward, hostTensor, mul, scope, sum, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import {
  expectClose,
  type GoldenTensor,
  hashed,
  hashedValues,
  loadGolden,
  loadGoldenJson,
  relativeError,
  testDevice,
} from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TextFeatures } from './features.ts';
import { parseT5Config, t5Config } from './t5-config.ts';
import { relativeBuckets, T5Text } from './t5.ts';

interface Manifest {
  readonly config: Record<string, number>;
  readonly seed_name: string;
  readonly tensors: readonly (readonly [name: string, shape: number[], scale: number, offset: number])[];
}

const goldenFile = (name: string): URL => new URL(`../test/golden/${name}`, import.meta.url);
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);

let manifest: Manifest;
let golden: Map<string, GoldenTensor>;
beforeAll(async () => {
  await testDevice();
  manifest = await loadGoldenJson<Manifest>(goldenFile('t5_manifest.json'));
  golden = await loadGolden(goldenFile('t5.safetensors'));
});

function goldenModel(): T5Text {
  const weights = manifest.tensors.map(([name, shape, scale, offset]) => {
    const values = hashedValues(manifest.seed_name.replace('{name}', name), sizeOf(shape), scale, offset);
    return [name, hostTensor(values, shape)] as const;
  });
  return new T5Text(parseT5Config(manifest.config)).load(new Map(weights)).freeze();
}

const integers = (name: string): Tensor => {
  const { values, shape } = golden.get(name)!;
  return tensor(values, shape, { dtype: 'u32' });
};

const tiny = t5Config({
  vocabSize: 11,
  width: 8,
  mlpWidth: 12,
  layers: 2,
  heads: 3,
  headWidth: 4,
  buckets: 8,
  farthest: 16,
});

/** A small model whose every weight matters. */
function tinyModel(): { model: T5Text; values: Map<string, Float32Array<ArrayBuffer>> } {
  const model = new T5Text(tiny);
  const values = new Map(
    [...model.namedParameters()].map(([name, { shape }]) => [name, hashedValues(name, sizeOf(shape), 0.5, 0.1)]),
  );
  return { model: loadValues(model, values), values };
}

function loadValues(model: T5Text, values: ReadonlyMap<string, Float32Array<ArrayBuffer>>): T5Text {
  const shapes = model.namedParameters();
  return model.load(new Map([...values].map(([name, value]) => [name, hostTensor(value, shapes.get(name)!.shape)])));
}

describe('T5Text', () => {
  it('equals the reference: states, and the mean over all positions', async () => {
    const { states, pooled } = goldenModel().forward(integers('ids'), integers('mask'));
    // Tolerance of the goldens for outputs of whole networks in float32.
    await expectClose(states, golden.get('last_hidden')!.values, 5e-5);
    await expectClose(pooled, golden.get('pooled_mean_over_all_positions')!.values, 5e-5);
  });

  it('sees no padding: real tokens have the same states with more of it', async () => {
    const { model } = tinyModel();
    const states = async (ids: number[], mask: number[]): Promise<Float32Array> =>
      model.forward(...batchOf([ids], [mask])).states.data();
    const short = await states([5, 3, 1], [1, 1, 1]);
    const long = await states([5, 3, 1, 0, 7, 7, 0], [1, 1, 1, 0, 0, 0, 0]);
    // The same sums, in another blocking of the matrices.
    expect(relativeError(long.subarray(0, short.length), short)).toBeLessThan(1e-6);
  });

  it('has the gradients of central differences for every parameter, with padding', async () => {
    const { model, values } = tinyModel();
    const batch = (): [Tensor, Tensor] => batchOf([[9, 3, 7, 1, 0], [9, 9, 2, 4, 1]], [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]); // prettier-ignore
    const project = ({ states, pooled }: TextFeatures): Tensor =>
      add(sum(mul(states, hashed('states', states.shape))), sum(mul(pooled, hashed('pooled', pooled.shape))));
    const names = [...values.keys()];
    const gradients = scope(() => backward(project(model.forward(...batch())), [...model.namedParameters().values()]));
    const lossAt = async (name: string, step: number): Promise<number> => {
      const direction = hashedValues(`direction/${name}`, values.get(name)!.length);
      loadValues(model, new Map([...values, [name, values.get(name)!.map((v, i) => v + step * direction[i]!)]]));
      return scope(() => project(model.forward(...batch()))).item();
    };
    for (const [index, name] of names.entries()) {
      const direction = hashedValues(`direction/${name}`, values.get(name)!.length);
      const got = (await gradients[index]!.data()).reduce((total, g, i) => total + g * direction[i]!, 0);
      const want = ((await lossAt(name, 0.01)) - (await lossAt(name, -0.01))) / 0.02;
      // The loss is of order 10 in float32: its rounding over the step leaves about 1e-4, the curvature a little more.
      expect(Math.abs(got - want), `${name}: ${got} instead of ${want}`).toBeLessThan(5e-3 * (Math.abs(want) + 1));
    }
  });
});

describe('relativeBuckets', () => {
  const published = { buckets: 32, farthest: 128 };

  it('equals the reference table', () => {
    expect([...relativeBuckets(20, published)]).toEqual([...golden.get('buckets_20')!.values]);
  });

  it('has one class from the farthest distance on, and whole logarithms begin a class', () => {
    const T = 200;
    const table = relativeBuckets(T, published);
    // Class 8 + 2k begins at 8 * 2^k: log(2^k) / log(16) * 8 = 2k.
    expect([8, 16, 32, 64].map((distance) => table[distance]! - 16)).toEqual([8, 10, 12, 14]);
    expect([7, 15, 31, 63].map((distance) => table[distance]! - 16)).toEqual([7, 9, 11, 13]);
    expect([90, 91, 127, 128, 199].map((distance) => table[distance * T])).toEqual([14, 15, 15, 15, 15]);
  });
});

const batchOf = (ids: number[][], mask: number[][]): [Tensor, Tensor] => [
  tensor(ids.flat(), [ids.length, ids[0]!.length], { dtype: 'u32' }),
  tensor(mask.flat(), [mask.length, mask[0]!.length], { dtype: 'u32' }),
];

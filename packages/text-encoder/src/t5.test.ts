import { add, hostTensor, mul, sum, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import {
  expectClose,
  goldenWeights,
  hashed,
  hashedValues,
  relativeError,
  testDevice,
} from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TextFeatures } from './features.ts';
import { parseT5Config, t5Config } from './t5-config.ts';
import { relativeBuckets, T5Text } from './t5.ts';
import { expectParameterGradients, loadReference, type Reference } from './testing/reference.ts';

let reference: Reference;
beforeAll(async () => {
  await testDevice();
  reference = await loadReference('t5');
});

const goldenModel = (): T5Text =>
  new T5Text(parseT5Config(reference.manifest.config)).load(goldenWeights(reference.manifest)).freeze();

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

describe('T5Text', () => {
  it('equals the reference: states, and the mean over all positions', async () => {
    const { states, pooled } = goldenModel().forward(reference.integers('ids'), reference.integers('mask'));
    // Tolerance of the goldens for outputs of whole networks in float32.
    await expectClose(states, reference.golden.get('last_hidden')!.values, 5e-5);
    await expectClose(pooled, reference.golden.get('pooled_mean_over_all_positions')!.values, 5e-5);
  });

  it('sees no padding: real tokens have the same states with more of it', async () => {
    const model = new T5Text(tiny);
    model.load(
      new Map(
        [...model.namedTensors()].map(([name, { shape, size }]) => [
          name,
          hostTensor(hashedValues(name, size, 0.5, 0.1), shape),
        ]),
      ),
    );
    const states = async (ids: number[], mask: number[]): Promise<Float32Array> =>
      model.forward(...batchOf([ids], [mask])).states.data();
    const short = await states([5, 3, 1], [1, 1, 1]);
    const long = await states([5, 3, 1, 0, 7, 7, 0], [1, 1, 1, 0, 0, 0, 0]);
    // The same sums, in another blocking of the matrices.
    expect(relativeError(long.subarray(0, short.length), short)).toBeLessThan(1e-6);
  });

  it('has the gradients of central differences for every parameter, with padding', async () => {
    const ids = [
      [9, 3, 7, 1, 0],
      [9, 9, 2, 4, 1],
    ];
    const mask = [
      [1, 1, 1, 1, 0],
      [1, 1, 1, 1, 1],
    ];
    const model = new T5Text(tiny);
    const project = ({ states, pooled }: TextFeatures): Tensor =>
      add(sum(mul(states, hashed('states', states.shape))), sum(mul(pooled, hashed('pooled', pooled.shape))));
    await expectParameterGradients(model, () => project(model.forward(...batchOf(ids, mask))));
  });
});

describe('relativeBuckets', () => {
  const published = { buckets: 32, farthest: 128 };

  it('equals the reference table', () => {
    expect([...relativeBuckets(20, published)]).toEqual([...reference.golden.get('buckets_20')!.values]);
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

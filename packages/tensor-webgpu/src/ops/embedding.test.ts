import { beforeAll, describe, expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { tensor } from '../tensor.ts';
import { expectClose, gradcheck, hashed, testDevice, valuesOf } from '../testing/index.ts';
import { mul } from './elementwise.ts';
import { embedding, scatterAdd } from './embedding.ts';
import { gather } from './gather.ts';
import { sum } from './reduce.ts';

beforeAll(testDevice);

const indices = (values: readonly number[], shape: readonly number[] = [values.length]): ReturnType<typeof tensor> =>
  tensor(values, shape, { dtype: 'u32' });

describe('embedding', () => {
  it('takes rows of a table, in any index shape', async () => {
    const table = tensor([0, 1, 2, 10, 11, 12], [2, 3]);
    const y = embedding(table, indices([1, 0, 1, 1], [2, 2]));
    expect(y.shape).toEqual([2, 2, 3]);
    await expectClose(y, [10, 11, 12, 0, 1, 2, 10, 11, 12, 10, 11, 12], 0);
  });

  it.each([3, 8])('sums gradients of repeated rows, width %i', async (C) => {
    const rows = indices([4, 0, 4, 4, 2, 0, 4]);
    await gradcheck((table) => embedding(table!, rows), [hashed('table', [5, C])]);
  });

  it('has the same gradient bits each time', async () => {
    const table = hashed('table', [3, 4]);
    table.requiresGrad = true;
    const weights = hashed('weights', [1025, 4]);
    const rows = indices(Array.from({ length: 1025 }, (_, i) => (i * i) % 3));
    const once = async (): Promise<Float32Array> =>
      valuesOf(backward(sum(mul(embedding(table, rows), weights)), [table])[0]!);
    expect(await once()).toEqual(await once());
  });

  it('refuses what is not an index', () => {
    expect(() => embedding(hashed('table', [2, 3]), hashed('x', [2]))).toThrow(
      'embedding: table must be [V, C] and indices u32, got [2,3] and f32.',
    );
  });
});

describe('scatterAdd', () => {
  it('adds rows where their index says, and leaves zeros elsewhere', async () => {
    const x = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
    await expectClose(scatterAdd(x, indices([2, 0, 2]), 4), [3, 4, 0, 0, 6, 8, 0, 0], 0);
  });

  it('gives each row the gradient of its place', async () => {
    await gradcheck((x) => scatterAdd(x!, indices([2, 0, 2, 1, 1]), 3), [hashed('x', [5, 4])]);
  });
});

describe('gather', () => {
  it('takes elements of each row', async () => {
    const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
    await expectClose(gather(x, indices([2, 2, 0, 1], [2, 2])), [3, 3, 4, 5], 0);
  });

  it('sums gradients of repeated elements', async () => {
    await gradcheck((x) => gather(x!, indices([6, 0, 6, 1, 1, 1], [2, 3])), [hashed('x', [2, 7])]);
  });

  it('refuses rows that do not agree', () => {
    expect(() => gather(hashed('x', [2, 3]), indices([0]))).toThrow(
      'gather: indices must be u32 and agree with x outside the last axis, got u32 [1] for [2,3].',
    );
  });
});

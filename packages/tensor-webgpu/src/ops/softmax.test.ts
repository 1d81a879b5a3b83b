import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, gradcheck, hashed, hashedValues, testDevice } from '../testing/index.ts';
import { tensor } from '../tensor.ts';
import { embedding, scatterAdd } from './embedding.ts';
import { crossEntropy, entropy, logSoftmax, softmax } from './softmax.ts';

beforeAll(testDevice);

const rows = (values: Float32Array, C: number): number[][] =>
  Array.from({ length: values.length / C }, (_, r) => [...values.subarray(r * C, (r + 1) * C)]);
const logs = (row: number[]): number[] => {
  const lse = Math.log(row.reduce((s, v) => s + Math.exp(v), 0));
  return row.map((v) => v - lse);
};

describe.each([2, 7, 130, 1025])('rows of %i', (C) => {
  it('softmax and logSoftmax equal their formulas, with gradients', async () => {
    const x = hashed('x', [2, 3, C], 4);
    const want = rows(hashedValues('x', 6 * C, 4), C).map(logs);
    await expectClose(logSoftmax(x), want.flat(), 1e-5);
    await expectClose(softmax(x), want.flat().map(Math.exp), 1e-5);
    await gradcheck((p) => softmax(p!), [x]);
    await gradcheck((p) => logSoftmax(p!), [x]);
  });

  it('entropy equals -sum p log p, with gradients', async () => {
    const x = hashed('x', [2, 3, C], 4);
    const want = rows(hashedValues('x', 6 * C, 4), C).map((row) =>
      logs(row).reduce((sum, log) => sum - Math.exp(log) * log, 0),
    );
    await expectClose(entropy(x), want, 1e-5);
    await gradcheck((p) => entropy(p!), [x]);
  });

  it('crossEntropy smooths labels and skips ignored rows, with gradients', async () => {
    const x = hashed('x', [5, C], 4);
    const labels = [0, C - 1, 2 % C, C, 1 % C];
    const targets = tensor(labels, [5], { dtype: 'u32' });
    const want = rows(hashedValues('x', 5 * C, 4), C).map((row, r) => {
      if (labels[r] === C) return 0;
      const p = logs(row);
      return -(0.9 * p[labels[r]!]! + (0.1 / C) * p.reduce((s, v) => s + v, 0));
    });
    await expectClose(crossEntropy(x, targets, { labelSmoothing: 0.1, ignoreIndex: C }), want, 1e-5);
    await gradcheck((p) => crossEntropy(p!, targets, { labelSmoothing: 0.1, ignoreIndex: C }), [x]);
  });
});

describe('entropy', () => {
  it('counts nothing for -infinity, log 3 for three equal ones, 0 for a single one', async () => {
    const none = Number.NEGATIVE_INFINITY;
    await expectClose(
      entropy(tensor([none, 3, 3, 3, none, none, none, 7, none, none], [2, 5])),
      [Math.log(3), 0],
      1e-6,
    );
  });
});

describe('embedding', () => {
  it('reads rows and adds repeated gradients up', async () => {
    const table = hashed('t', [5, 3]);
    const indices = tensor([4, 0, 4, 2, 4, 1], [2, 3], { dtype: 'u32' });
    const values = hashedValues('t', 15);
    await expectClose(
      embedding(table, indices),
      [4, 0, 4, 2, 4, 1].flatMap((r) => [...values.subarray(3 * r, 3 * r + 3)]),
      0,
    );
    await gradcheck((p) => embedding(p!, indices), [table]);
  });

  it('scatterAdd is its transpose', async () => {
    const indices = tensor([1, 3, 1], [3], { dtype: 'u32' });
    await expectClose(scatterAdd(tensor([1, 2, 3, 4, 5, 6], [3, 2]), indices, 4), [0, 0, 6, 8, 0, 0, 3, 4], 1e-6);
    await gradcheck((p) => scatterAdd(p!, indices, 4), [hashed('x', [3, 2])]);
  });

  it('refuses targets and indices that do not fit', () => {
    expect(() => crossEntropy(hashed('x', [2, 3]), tensor([1], [1], { dtype: 'u32' }))).toThrow(
      'crossEntropy: logits must be [R, V] and targets u32 [R], got [2,3] and u32 [1].',
    );
    expect(() => embedding(hashed('t', [2, 3]), hashed('i', [1]))).toThrow(
      'embedding: table must be [V, C] and indices u32, got [2,3] and f32.',
    );
  });
});

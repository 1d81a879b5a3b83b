import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.ts';
import { fromHalfBits, toHalfBits } from '../dtype.ts';
import { expectClose, gradcheck, testDevice } from '../testing/index.ts';
import { tensor } from '../tensor.ts';
import { matmul } from './matmul.ts';

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

const wave = (count: number, seed = 0): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin((i + seed) * 12.9898));

/** Row-major product of one pair of matrices, by the definition. */
function product(
  a: number[],
  b: number[],
  [M, N, K]: readonly [number, number, number],
  [ta, tb]: readonly [boolean, boolean],
): number[] {
  const left = (m: number, k: number): number => a[ta ? k * M + m : m * K + k]!;
  const right = (k: number, n: number): number => b[tb ? n * K + k : k * N + n]!;
  return Array.from({ length: M * N }, (_, i) => {
    let total = 0;
    for (let k = 0; k < K; k++) total += left(Math.floor(i / N), k) * right(k, i % N);
    return total;
  });
}

const layouts = [
  [false, false],
  [false, true],
  [true, false],
  [true, true],
] as const;
const sizes: [number, number, number][] = [
  [1, 1, 1],
  [5, 7, 9],
  [17, 36, 20],
  [33, 4, 130],
  [64, 65, 7],
  [9, 14, 8],
  [5, 23, 12],
  [257, 32, 4],
];

describe.each(['fast', 'plain'] as const)('matmul by the %s kernel', (variant) => {
  const setVariant = (plain: boolean): void => void Object.assign(device, { plainKernels: plain });
  beforeAll(() => setVariant(variant === 'plain'));
  afterAll(() => setVariant(false));

  describe.each(layouts)('stored transposed: %s, %s', (transposeA, transposeB) => {
    it.each(sizes)('equals the definition for M %i, N %i, K %i', async (M, N, K) => {
      const [a, b] = [wave(M * K), wave(K * N, 3)];
      const y = matmul(tensor(a, transposeA ? [K, M] : [M, K]), tensor(b, transposeB ? [N, K] : [K, N]), {
        transposeA,
        transposeB,
      });
      expect(y.shape).toEqual([M, N]);
      await expectClose(y, product(a, b, [M, N, K], [transposeA, transposeB]), 1e-5);
    });

    it('has numerical gradients for both operands', async () => {
      const x = tensor(wave(15), transposeA ? [5, 3] : [3, 5]);
      const z = tensor(wave(35, 9), transposeB ? [7, 5] : [5, 7]);
      await gradcheck((p, q) => matmul(p!, q!, { transposeA, transposeB }), [x, z]);
    });
  });

  it('broadcasts leading axes, with gradients', async () => {
    const x = tensor(wave(2 * 3 * 4 * 5), [2, 3, 4, 5]);
    const z = tensor(wave(3 * 5 * 6, 2), [3, 5, 6]);
    const one = tensor(wave(5 * 6, 4), [5, 6]);
    expect(matmul(x, z).shape).toEqual([2, 3, 4, 6]);
    await gradcheck((p, q) => matmul(p!, q!), [x, z]);
    await gradcheck((p, q) => matmul(p!, q!), [x, one]);
  });
});

describe('matmul', () => {
  it('accumulates f16 in float32', async () => {
    const x = tensor(wave(8 * 2048), [8, 2048], { dtype: 'f16' });
    const z = tensor(wave(2048 * 4, 1), [2048, 4], { dtype: 'f16' });
    const half = (values: number[]): number[] => values.map((value) => fromHalfBits(toHalfBits(value)));
    // only the result is rounded, to 11 bits; in f16 the 2048 terms would lose far more
    await expectClose(
      matmul(x, z),
      product(half(wave(8 * 2048)), half(wave(2048 * 4, 1)), [8, 4, 2048], [false, false]),
      1e-3,
    );
  });

  it('refuses operands that do not fit', () => {
    const x = tensor(wave(6), [2, 3]);
    expect(() => matmul(x, x)).toThrow(
      'matmul: inner sides must agree, got 3 and 2 from [2,3] and [2,3]. Check the transpose options.',
    );
    expect(() => matmul(x, tensor([1, 2, 3], [3]))).toThrow(
      'matmul: operands must have at least 2 axes, got [2,3] and [3]. Reshape them.',
    );
  });
});

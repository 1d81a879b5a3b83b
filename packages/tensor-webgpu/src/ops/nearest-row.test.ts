import { expect, it } from 'vitest';
import { tensor } from '../tensor.ts';
import { describeVariants, expectClose, hashed, hashedValues } from '../testing/index.ts';
import { nearestRow } from './nearest-row.ts';

/** The lowest index of the smallest score, in float64. */
function reference(R: number, V: number, score: (r: number, v: number) => number): number[] {
  return Array.from({ length: R }, (_, r) => {
    const scores = Array.from({ length: V }, (__, v) => score(r, v));
    return scores.indexOf(Math.min(...scores));
  });
}

describeVariants('nearestRow', () => {
  it.each([
    [1, 1, 4],
    [7, 5, 3],
    [17, 33, 16],
    [65, 513, 32],
  ])('finds the nearest of codes: R %i, V %i, C %i', async (R, V, C) => {
    const [z, e] = [hashedValues('z', R * C), hashedValues('e', V * C)];
    const want = reference(R, V, (r, v) => {
      let distance = 0;
      for (let c = 0; c < C; c++) distance += (z[r * C + c]! - e[v * C + c]!) ** 2;
      return distance;
    });
    await expectClose(nearestRow(hashed('z', [R, C]), hashed('e', [V, C])), want, 0);
  });

  it('takes the lowest index of equal codes', async () => {
    const codebook = tensor(
      Array.from({ length: 40 * 4 }, (_, i) => (i >> 2) % 3),
      [40, 4],
    );
    await expectClose(nearestRow(tensor([2, 2, 2, 2, 0, 0, 0, 0], [2, 4]), codebook), [2, 0], 0);
  });

  it('finds the largest cosine', async () => {
    const [R, V, C] = [9, 21, 8];
    const [z, e] = [hashedValues('z', R * C), hashedValues('e', V * C)];
    const want = reference(R, V, (r, v) => {
      const row = e.subarray(v * C, v * C + C);
      const product = row.reduce((total, value, c) => total + value * z[r * C + c]!, 0);
      return -product / Math.hypot(...row);
    });
    await expectClose(nearestRow(hashed('z', [R, C]), hashed('e', [V, C]), { metric: 'cosine' }), want, 0);
  });

  it('refuses sides that differ', () => {
    expect(() => nearestRow(hashed('z', [2, 3]), hashed('e', [2, 4]))).toThrow(
      'nearestRow: z must be f32 [R, C] and codebook f32 [V, C], got f32 [2,3] and f32 [2,4].',
    );
  });
});

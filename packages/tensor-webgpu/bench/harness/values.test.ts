import { describe, expect, it } from 'vitest';
import { hostValues, permuteHost, worstError } from './values.ts';

describe('permuteHost', () => {
  it('puts element [a, b, c] where the new order of axes has it', () => {
    const values = Float32Array.from({ length: 2 * 3 * 7 }, (_, i) => i);
    const turned = permuteHost(values, [2, 3, 7], [2, 0, 1]);
    for (const [a, b, c] of [
      [0, 0, 0],
      [1, 2, 6],
      [1, 0, 4],
    ] as const)
      expect(turned[(c * 2 + a) * 3 + b]).toBe((a * 3 + b) * 7 + c);
  });

  it('is undone by the inverse order', () => {
    const values = hostValues(1 * 5 * 7 * 3, 1);
    expect(permuteHost(permuteHost(values, [1, 5, 7, 3], [0, 3, 1, 2]), [1, 3, 5, 7], [0, 2, 3, 1])).toEqual(values);
  });
});

describe('worstError', () => {
  it('is the largest relative error in the 2-norm', () => {
    const want = [Float32Array.of(3, 4), Float32Array.of(1)];
    expect(worstError([Float32Array.of(3, 4), Float32Array.of(1.5)], want)).toBe(0.5);
  });

  it('is infinite where results are missing, too short or no numbers', () => {
    const want = [Float32Array.of(1, 2)];
    for (const got of [[], [Float32Array.of(1)], [Float32Array.of(1, Number.NaN)]])
      expect(worstError(got, want)).toBe(Infinity);
  });
});

describe('hostValues', () => {
  it('gives the same values for one seed, others for another, all in [-1, 1)', () => {
    const values = hostValues(1025, 3);
    expect(hostValues(1025, 3)).toEqual(values);
    expect(hostValues(1025, 4)).not.toEqual(values);
    expect(values.every((value) => value >= -1 && value < 1)).toBe(true);
  });
});

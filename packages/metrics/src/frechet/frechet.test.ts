import { hashedValues, loadGoldenJson } from '@star-webgpu/tensor-webgpu/testing';
import { describe, expect, it } from 'vitest';
import { goldenFile } from '../testing/golden-file.ts';
import { rowsOf } from '../testing/rows.ts';
import { frechetDistance } from './frechet.ts';
import { FeatureStatistics, type Statistics, statisticsOf } from './statistics.ts';

interface Golden {
  readonly fid: number;
  readonly fid_singular_first8_of_a_vs_b: number;
}

const a = rowsOf(hashedValues('fid_a', 64 * 16), 16);
const b = rowsOf(
  Float64Array.from(hashedValues('fid_b', 80 * 16), (value) => 1.3 * value + 0.2),
  16,
);

/** Eigenvalues and vectors (rows) of a symmetric matrix by Jacobi rotations, for reading. */
function jacobi(matrix: readonly (readonly number[])[]): { values: number[]; vectors: number[][] } {
  const n = matrix.length;
  const m = matrix.map((row) => [...row]);
  const vectors = m.map((_, i) => m.map((__, j) => Number(i === j)));
  for (let sweep = 0; sweep < 30; sweep++)
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const angle = 0.5 * Math.atan2(2 * m[p]![q]!, m[q]![q]! - m[p]![p]!);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (const row of m) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
        for (const set of [m, vectors]) {
          const [rowP, rowQ] = [[...set[p]!], [...set[q]!]];
          set[p] = rowP.map((value, i) => c * value - s * rowQ[i]!);
          set[q] = rowP.map((value, i) => s * value + c * rowQ[i]!);
        }
      }
  return { values: m.map((row, i) => row[i]!), vectors };
}

/** The definition: square root of S1, then of S1^(1/2) S2 S1^(1/2), by eigenvalues. */
function distanceByDefinition(x: Statistics, y: Statistics): number {
  const D = x.mean.length;
  const dense = ({ covariance }: Statistics): number[][] => rowsOf(covariance, D).map((row) => [...row]);
  const times = (u: number[][], v: number[][]): number[][] =>
    u.map((row) => v[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * v[k]![j]!, 0)));
  const { values, vectors } = jacobi(dense(x));
  const scaled = vectors.map((row, i) => row.map((value) => value * Math.max(0, values[i]!) ** 0.5));
  const root = times(
    vectors[0]!.map((_, i) => vectors.map((row) => row[i]!)),
    scaled,
  );
  const inner = jacobi(times(times(root, dense(y)), root)).values;
  const traces = [x, y].flatMap((one) => dense(one).map((row, i) => row[i]!)).reduce((sum, value) => sum + value, 0);
  const apart = x.mean.reduce((sum, value, i) => sum + (value - y.mean[i]!) ** 2, 0);
  return apart + traces - 2 * inner.reduce((sum, value) => sum + Math.max(0, value) ** 0.5, 0);
}

describe('frechetDistance', () => {
  it('equals the reference, also where a covariance is singular', async () => {
    const golden = await loadGoldenJson<Golden>(goldenFile('frechet.json'));
    const [first, second] = [statisticsOf(a), statisticsOf(b)];
    // Both in float64; the reference's own two ways differ by 3e-15.
    expect(frechetDistance(first, second)).toBeCloseTo(golden.fid, 11);
    expect(frechetDistance(second, first)).toBeCloseTo(golden.fid, 11);
    // A square root of a singular product by general eigenvalues keeps half the digits: about 1e-7 of the reference's own.
    expect(frechetDistance(statisticsOf(a.slice(0, 8)), second)).toBeCloseTo(golden.fid_singular_first8_of_a_vs_b, 5);
  });

  it('of a set and itself is zero, whatever its rank', () => {
    for (const rows of [a, a.slice(0, 8), a.slice(0, 2), rowsOf(hashedValues('wide', 30 * 150), 150)])
      expect(frechetDistance(statisticsOf(rows), statisticsOf(rows))).toBeLessThan(1e-11);
    const constant = statisticsOf([a[0]!, a[0]!]);
    expect(frechetDistance(constant, constant)).toBe(0);
    // Nothing but the means and one trace is left.
    const { mean, covariance } = statisticsOf(a);
    const apart = mean.reduce((sum, value, i) => sum + (value - a[0]![i]!) ** 2 + covariance[17 * i]!, 0);
    expect(frechetDistance(constant, { mean, covariance })).toBeCloseTo(apart, 11);
  });

  it.each([
    [40, 61, 23],
    [7, 61, 23],
    [9, 12, 37],
    [200, 33, 50],
  ])('equals the definition for %d and %d pictures of %d features', (first, second, D) => {
    const [x, y] = [
      statisticsOf(rowsOf(hashedValues('x', first * D), D)),
      statisticsOf(rowsOf(hashedValues('y', second * D, 2, 0.1), D)),
    ];
    // The definition takes roots of eigenvalues of about eps, which is 1e-8 each.
    expect(Math.abs(frechetDistance(x, y) - distanceByDefinition(x, y))).toBeLessThan(1e-6);
  });

  it('does not change when both sets are turned, and grows with the square of their scale', () => {
    const turn = (row: ArrayLike<number>): number[] => {
      const turned = Array.from(row);
      for (let i = 0; i + 1 < turned.length; i++) {
        const [p, q] = [turned[i]!, turned[i + 1]!];
        [turned[i], turned[i + 1]] = [0.6 * p - 0.8 * q, 0.8 * p + 0.6 * q];
      }
      return turned;
    };
    const distance = frechetDistance(statisticsOf(a), statisticsOf(b));
    expect(frechetDistance(statisticsOf(a.map(turn)), statisticsOf(b.map(turn)))).toBeCloseTo(distance, 11);
    const larger = [a, b].map((rows) => statisticsOf(rows.map((row) => Array.from(row, (value) => 3 * value))));
    expect(frechetDistance(larger[0]!, larger[1]!)).toBeCloseTo(9 * distance, 10);
  });

  it('keeps the digits of features far from zero', () => {
    const far = (rows: readonly ArrayLike<number>[]): number[][] =>
      rows.map((row) => Array.from(row, (value) => value + 1e6));
    // Features of 1e6 carry 1e-10 of their own.
    expect(frechetDistance(statisticsOf(far(a)), statisticsOf(far(b)))).toBeCloseTo(
      frechetDistance(statisticsOf(a), statisticsOf(b)),
      6,
    );
  });

  it('refuses what is no pair of covariances', () => {
    const good = statisticsOf(a);
    expect(() => frechetDistance(good, statisticsOf(a.map((row) => row.slice(0, 5))))).toThrow(
      'frechetDistance: statistics must have one size, got 16 and 5 features. Take them from the same layer.',
    );
    const bad = { mean: Float64Array.of(0, 0), covariance: Float64Array.of(1, 3, 3, 1) };
    expect(() => frechetDistance(bad, bad)).toThrow(
      'frechetDistance: covariance must be positive semi-definite, got -8 left of a diagonal up to 1. Compute the statistics again.',
    );
    expect(() => statisticsOf([a[0]!])).toThrow(
      'statistics: features must come from two pictures or more, got 1. Add pictures.',
    );
    const statistics = new FeatureStatistics();
    statistics.add([1, 2]);
    expect(() => statistics.add([1])).toThrow('statistics: features must number 2 as the first did, got 1.');
    expect(() => statistics.add([1, Number.NaN])).toThrow(
      "statistics: features must be finite, got NaN at 1. Check the network's weights.",
    );
    expect(statistics.count).toBe(1);
  });
});

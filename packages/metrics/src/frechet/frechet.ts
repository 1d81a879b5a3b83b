import { MetricError } from '../picture.ts';
import { crossFactors, pivotedFactor } from './factor.ts';
import { singularValueSum } from './singular-values.ts';
import type { Statistics } from './statistics.ts';

/**
 * Frechet distance of two normal distributions: |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2) (Heusel et al., 2017), in float64.
 * With S = L L^T the last trace is the sum of the singular values of L1^T L2, so that singular covariances lose no digits.
 * @throws MetricError if sizes differ or a covariance is none.
 */
export function frechetDistance(a: Statistics, b: Statistics): number {
  checkSizes(a);
  checkSizes(b);
  const D = a.mean.length;
  if (b.mean.length !== D)
    throw new MetricError(
      'frechetDistance',
      `statistics must have one size, got ${D} and ${b.mean.length} features. Take them from the same layer.`,
    );
  const [first, second] = [a, b].map(({ covariance }) => pivotedFactor(covariance, D));
  const values = crossFactors(first!, second!);
  const shared = values.length ? singularValueSum({ rows: first!.rank, columns: second!.rank, values }) : 0;
  const apart = a.mean.reduce((sum, value, i) => sum + (value - b.mean[i]!) ** 2, 0);
  // Rounding may leave a few eps below zero for a set and itself.
  return Math.max(0, apart + trace(a.covariance, D) + trace(b.covariance, D) - 2 * shared);
}

function trace(matrix: Float64Array, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += matrix[i * (size + 1)]!;
  return sum;
}

function checkSizes({ mean, covariance }: Statistics): void {
  if (mean.length > 0 && covariance.length === mean.length ** 2) return;
  throw new MetricError(
    'frechetDistance',
    `covariance must have ${mean.length}^2 elements for ${mean.length} means, got ${covariance.length}.`,
  );
}

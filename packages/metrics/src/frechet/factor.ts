import { MetricError } from '../picture.ts';

/** L of S = L L^T, row-major with `size` columns of which the first `rank` are in use. */
export interface Factor {
  readonly size: number;
  readonly rank: number;
  readonly values: Float64Array;
  /** Columns in use of each row: a pivot's row ends at its step. */
  readonly lengths: Uint32Array;
}

/**
 * Cholesky factor of a positive semi-definite matrix of any rank, with the largest remaining diagonal element as pivot.
 * It stops where what remains is rounding: n eps times the largest element (Higham, 1990).
 * @throws MetricError if the matrix is not positive semi-definite.
 */
export function pivotedFactor(matrix: Float64Array, size: number): Factor {
  const remaining = Float64Array.from({ length: size }, (_, i) => matrix[i * size + i]!);
  const largest = Math.max(0, ...remaining);
  const least = size * Number.EPSILON * largest;
  const values = new Float64Array(size * size);
  const lengths = new Uint32Array(size);
  let rank = 0;
  for (; rank < size; rank++) {
    const pivot = pivotOf(remaining, lengths);
    if (!(remaining[pivot]! > least)) break;
    lengths[pivot] = rank + 1;
    eliminate({ matrix, size, values, remaining, lengths }, { pivot, step: rank });
  }
  checkRest(remaining, lengths, largest);
  for (let i = 0; i < size; i++) lengths[i] ||= rank;
  return { size, rank, values, lengths };
}

/** The row with the largest remainder among those that were no pivot yet. */
function pivotOf(remaining: Float64Array, lengths: Uint32Array): number {
  let best = lengths.indexOf(0);
  for (let i = best; i < remaining.length; i++) if (!lengths[i] && remaining[i]! > remaining[best]!) best = i;
  return best;
}

interface Elimination {
  readonly matrix: Float64Array;
  readonly size: number;
  readonly values: Float64Array;
  readonly remaining: Float64Array;
  readonly lengths: Uint32Array;
}

/** Column `step` of the factor, and what it leaves of the diagonal. */
function eliminate(
  { matrix, size, values, remaining, lengths }: Elimination,
  { pivot, step }: { readonly pivot: number; readonly step: number },
): void {
  const root = Math.sqrt(remaining[pivot]!);
  values[pivot * size + step] = root;
  for (let i = 0; i < size; i++) {
    if (lengths[i]) continue;
    let value = matrix[i * size + pivot]!;
    for (let j = 0, a = i * size, b = pivot * size; j < step; j++, a++, b++) value -= values[a]! * values[b]!;
    value /= root;
    values[i * size + step] = value;
    remaining[i]! -= value * value;
  }
}

/** Negative remainders beyond rounding say that the matrix was no covariance. */
function checkRest(remaining: Float64Array, lengths: Uint32Array, largest: number): void {
  const rest = remaining.filter((_, i) => !lengths[i]);
  const worst = Math.min(0, ...rest);
  if (worst >= -1e-6 * largest && rest.every(Number.isFinite)) return;
  throw new MetricError(
    'frechetDistance',
    `covariance must be positive semi-definite, got ${worst} left of a diagonal up to ${largest}. Compute the statistics again.`,
  );
}

/** A^T B of two factors over the same rows. -> [A.rank, B.rank] row-major. */
export function crossFactors(a: Factor, b: Factor): Float64Array {
  const product = new Float64Array(a.rank * b.rank);
  // Stripes of the product stay in the cache while the factors pass by.
  const stripe = 32;
  for (let first = 0; first < a.rank; first += stripe)
    for (let row = 0; row < a.size; row++) {
      const end = Math.min(first + stripe, a.lengths[row]!);
      for (let i = first; i < end; i++) addRow(product, i * b.rank, { b, row, factor: a.values[row * a.size + i]! });
    }
  return product;
}

function addRow(
  product: Float64Array,
  start: number,
  { b, row, factor }: { readonly b: Factor; readonly row: number; readonly factor: number },
): void {
  const { values, size, lengths } = b;
  const length = lengths[row]!;
  for (let j = 0, at = start, from = row * size; j < length; j++, at++, from++) product[at]! += factor * values[from]!;
}

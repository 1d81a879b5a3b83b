import { MetricError } from '../picture.ts';

/** A row-major matrix. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

/** Sum of the singular values. Each is good to a few eps of the largest, zeros included. */
export function singularValueSum(matrix: Matrix): number {
  const tall = matrix.rows < matrix.columns ? transposed(matrix) : matrix;
  const { diagonal, above } = bidiagonal({ ...tall, values: tall.values.slice() });
  // [0 B; B^T 0], its rows shuffled, is tridiagonal with a zero diagonal; its eigenvalues are plus and minus the singular values of B.
  const beside = Float64Array.from({ length: 2 * diagonal.length }, (_, i) =>
    i % 2 ? (above[(i - 1) / 2] ?? 0) : diagonal[i / 2]!,
  );
  const values = tridiagonalEigenvalues(new Float64Array(beside.length), beside);
  return values.reduce((sum, value) => sum + Math.abs(value), 0) / 2;
}

function transposed({ rows, columns, values }: Matrix): Matrix {
  const turned = new Float64Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = values[i * columns + j]!;
  return { rows: columns, columns: rows, values: turned };
}

interface Bidiagonal {
  readonly diagonal: Float64Array;
  /** One element beside each diagonal one; the last is 0. */
  readonly above: Float64Array;
}

/** Householder reflections from both sides (Golub and Kahan, 1965); overwrites the matrix, of at least as many rows as columns. */
function bidiagonal(matrix: Matrix): Bidiagonal {
  const { columns, values } = matrix;
  const [diagonal, above] = [new Float64Array(columns), new Float64Array(columns)];
  for (let k = 0; k < columns; k++) {
    const left = reflectorOf(columnBelow(matrix, k));
    diagonal[k] = left.value;
    const shadow = productsWith(matrix, k, left);
    const start = k * columns + k + 1;
    for (let j = 0; j < shadow.length; j++) values[start + j]! -= left.vector[0]! * shadow[j]!;
    const right = reflectorOf(values.slice(start, start + shadow.length));
    above[k] = right.value;
    for (let i = 1; i < left.vector.length; i++)
      reflectRow(values, start + i * columns, { shadow, share: left.vector[i]!, right });
  }
  return { diagonal, above };
}

/** A reflection I - scale v v^T that maps a vector to (value, 0, ..., 0). */
interface Reflector {
  readonly vector: Float64Array;
  readonly scale: number;
  readonly value: number;
}

function reflectorOf(x: Float64Array): Reflector {
  const norm = Math.sqrt(x.reduce((sum, one) => sum + one * one, 0));
  if (x.length < 2 || norm === 0) return { vector: new Float64Array(x.length), scale: 0, value: x[0] ?? 0 };
  const value = x[0]! > 0 ? -norm : norm;
  const vector = x.slice();
  vector[0]! -= value;
  return { vector, scale: 1 / (norm * (norm + Math.abs(x[0]!))), value };
}

const columnBelow = ({ rows, columns, values }: Matrix, k: number): Float64Array =>
  Float64Array.from({ length: rows - k }, (_, i) => values[(k + i) * columns + k]!);

/** scale A^T v over the columns behind k. */
function productsWith({ columns, values }: Matrix, k: number, { vector, scale }: Reflector): Float64Array {
  const shadow = new Float64Array(columns - k - 1);
  for (let i = 0; i < vector.length; i++) {
    const share = scale * vector[i]!;
    const start = (k + i) * columns + k + 1;
    for (let j = 0; j < shadow.length; j++) shadow[j]! += share * values[start + j]!;
  }
  return shadow;
}

/** Both reflections of one row in two passes: the left one, with the products for the right one, and the right one. */
function reflectRow(
  values: Float64Array,
  start: number,
  { shadow, share, right }: { readonly shadow: Float64Array; readonly share: number; readonly right: Reflector },
): void {
  const { vector, scale } = right;
  let dot = 0;
  for (let j = 0; j < shadow.length; j++) {
    const value = values[start + j]! - share * shadow[j]!;
    values[start + j] = value;
    dot += value * vector[j]!;
  }
  dot *= scale;
  for (let j = 0; j < shadow.length; j++) values[start + j]! -= dot * vector[j]!;
}

/** Rounds of one eigenvalue; two or three are usual. */
const mostRounds = 60;

/** Eigenvalues of a symmetric tridiagonal matrix by implicit QL with Wilkinson's shift; `beside` is one longer than needed. Overwrites both. */
function tridiagonalEigenvalues(diagonal: Float64Array, beside: Float64Array): Float64Array {
  const scale = diagonal.reduce((most, value, i) => Math.max(most, Math.abs(value), Math.abs(beside[i]!)), 0);
  for (let first = 0; first < diagonal.length; first++)
    for (let round = 0; ; round++) {
      const last = blockEnd(beside, first, diagonal.length, Number.EPSILON * scale);
      if (last === first) break;
      if (round === mostRounds)
        throw new MetricError('frechetDistance', `eigenvalues must settle, got none after ${mostRounds} rounds.`);
      sweep(diagonal, beside, { first, last });
    }
  return diagonal;
}

/** End of the block that starts at `first`: the next place with nothing beside it. */
function blockEnd(beside: Float64Array, first: number, size: number, least: number): number {
  let last = first;
  while (last < size - 1 && Math.abs(beside[last]!) > least) last++;
  return last;
}

/** One QL step: Givens rotations chase the bulge from the end of a block to its start. */
function sweep(
  diagonal: Float64Array,
  beside: Float64Array,
  { first, last }: { readonly first: number; readonly last: number },
): void {
  const half = (diagonal[first + 1]! - diagonal[first]!) / (2 * beside[first]!);
  const root = Math.sqrt(half * half + 1);
  let chased = diagonal[last]! - diagonal[first]! + beside[first]! / (half + (half < 0 ? -root : root));
  let [sine, cosine, moved] = [1, 1, 0];
  for (let i = last - 1; i >= first; i--) {
    const bulge = sine * beside[i]!;
    const kept = cosine * beside[i]!;
    const length = Math.sqrt(bulge * bulge + chased * chased);
    beside[i + 1] = length;
    if (length === 0) {
      // The block falls apart here.
      diagonal[i + 1]! -= moved;
      beside[last] = 0;
      return;
    }
    [sine, cosine] = [bulge / length, chased / length];
    const corner = diagonal[i + 1]! - moved;
    const turn = (diagonal[i]! - corner) * sine + 2 * cosine * kept;
    moved = sine * turn;
    diagonal[i + 1] = corner + moved;
    chased = cosine * turn - kept;
  }
  diagonal[first]! -= moved;
  beside[first] = chased;
  beside[last] = 0;
}

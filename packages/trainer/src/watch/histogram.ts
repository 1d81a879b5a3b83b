/** How often values fall between limits, as TensorBoard takes it. */
export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly count: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  /** Upper limit of each bucket, rising. */
  readonly limits: readonly number[];
  /** Values of each bucket: from the limit of the one before, which is in, to its own, which is not. Nothing lies below the first. */
  readonly counts: readonly number[];
}

const smallest = 1e-12;
const growth = 1.1;
/** Buckets on each side of the one around zero; the last ends at 1e20. */
const side = Math.ceil(Math.log(1e32) / Math.log(growth));

/** Index of a value's bucket: 0 for those around zero, growing with the size, negative below zero. */
function bucketOf(value: number): number {
  const size = Math.abs(value);
  if (size < smallest) return 0;
  const bucket = Math.min(side, 1 + Math.floor(Math.log(size / smallest) / Math.log(growth)));
  return value < 0 ? -bucket : bucket;
}

/** Upper limit of a bucket. */
const limitOf = (bucket: number): number =>
  bucket < 0 ? -smallest * growth ** (-bucket - 1) : smallest * growth ** bucket;

/** Histogram of finite values in buckets that grow by 10%, those of TensorFlow; values that are not finite are left out. */
export function histogramOf(values: Float32Array): Histogram {
  const counts = new Float64Array(2 * side + 1);
  let [min, max, count, sum, sumOfSquares] = [Infinity, -Infinity, 0, 0, 0];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    counts[side + bucketOf(value)]!++;
    min = Math.min(min, value);
    max = Math.max(max, value);
    count++;
    sum += value;
    sumOfSquares += value * value;
  }
  if (count === 0) return { min: 0, max: 0, count, sum, sumOfSquares, limits: [limitOf(0)], counts: [0] };
  const buckets = keptBuckets(counts, bucketOf(min), bucketOf(max));
  return {
    min,
    max,
    count,
    sum,
    sumOfSquares,
    limits: buckets.map(limitOf),
    counts: buckets.map((bucket) => counts[side + bucket]!),
  };
}

/** Buckets from the first to the last; of empty ones in a row only the last, as its limit is theirs together. */
function keptBuckets(counts: Float64Array, first: number, last: number): number[] {
  const all = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return all.filter((bucket) => counts[side + bucket]! > 0 || counts[side + bucket + 1]! > 0);
}

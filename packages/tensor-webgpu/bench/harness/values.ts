/** Deterministic values in [-1, 1) without a pattern that sums could exploit. */
export function hostValues(count: number, seed: number): Float32Array {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 31 - 1;
  };
  return Float32Array.from({ length: count }, next);
}

const product = (sides: readonly number[]): number => sides.reduce((size, side) => size * side, 1);

/** Elements with their axes in another order. values: shape -> shape[order]. */
export function permuteHost(
  values: Float32Array,
  shape: readonly number[],
  order: readonly number[],
): Float32Array<ArrayBuffer> {
  const strides = shape.map((_, axis) => product(shape.slice(axis + 1)));
  const sides = order.map((axis) => shape[axis]!);
  const steps = order.map((axis) => strides[axis]!);
  return Float32Array.from({ length: values.length }, (_, flat) => {
    let rest = flat;
    let source = 0;
    for (let axis = sides.length - 1; axis >= 0; axis--) {
      source += (rest % sides[axis]!) * steps[axis]!;
      rest = Math.floor(rest / sides[axis]!);
    }
    return values[source]!;
  });
}

/** ||got - want|| / ||want||, the worst over all results; infinite where their number or sizes differ. */
export function worstError(got: readonly Float32Array[], want: readonly Float32Array[]): number {
  if (got.length !== want.length) return Infinity;
  return Math.max(...got.map((values, i) => relativeError(values, want[i]!)));
}

function relativeError(got: Float32Array, want: Float32Array): number {
  if (got.length !== want.length) return Infinity;
  let difference = 0;
  let norm = 0;
  for (const [i, value] of want.entries()) {
    difference += (got[i]! - value) ** 2;
    norm += value ** 2;
  }
  const error = Math.sqrt(difference / norm);
  return Number.isNaN(error) ? Infinity : error;
}

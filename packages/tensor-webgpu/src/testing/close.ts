import { expect } from 'vitest';
import { contiguous } from '../ops/view.ts';
import { Tensor } from '../tensor.ts';

/** Values of a tensor in row-major order, or numbers as they are. */
export async function valuesOf(values: Tensor | ArrayLike<number>): Promise<Float32Array> {
  return values instanceof Tensor ? contiguous(values).data() : Float32Array.from(values);
}

/** ||got - want|| / ||want||; absolute where want is zero. */
export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < want.length; i++) {
    difference += (got[i]! - want[i]!) ** 2;
    norm += want[i]! ** 2;
  }
  return Math.sqrt(difference) / (norm > 0 ? Math.sqrt(norm) : 1);
}

/** Expects as many values as wanted, within a relative error in the 2-norm. */
export async function expectClose(
  got: Tensor | ArrayLike<number>,
  want: Tensor | ArrayLike<number>,
  tolerance: number,
): Promise<void> {
  const [values, wanted] = [await valuesOf(got), await valuesOf(want)];
  expect(values.length).toBe(wanted.length);
  expect(values.every(Number.isFinite), 'all values are finite').toBe(wanted.every(Number.isFinite));
  expect(relativeError(values, wanted)).toBeLessThanOrEqual(tolerance);
}

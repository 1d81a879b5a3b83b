import { currentDevice } from '../device/current.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Tensor } from '../tensor.ts';
import { cast } from './cast.ts';

/** The float type in which products are computed: `f16` halves the bytes and wants an adapter with half floats. */
export type Precision = 'f32' | 'f16';

let current: Precision = 'f32';

/** The precision in force. */
export const currentPrecision = (): Precision => current;

/**
 * Runs a function in which products (linear, matmul, conv2d, attention) take their operands in that type; sums stay f32, and so do
 * norms, softmax and losses of f32 input. Parameters stay what they are: they are cast on the way in, and their gradients on the way back.
 * @throws TensorError for f16 on an adapter without half floats.
 */
export function withPrecision<T>(precision: Precision, run: () => T): T {
  check(
    'withPrecision',
    precision === 'f32' || currentDevice().profile.f16,
    () => `adapter must have half floats for f16, got ${currentDevice().profile.description}. Use f32.`,
  );
  const before = current;
  current = precision;
  try {
    return run();
  } finally {
    current = before;
  }
}

/** An operand of a product in the type in force; what is f16 already stays so. */
export const toOperand = (x: Tensor): Tensor => (current === 'f16' && isFloat(x.dtype) ? cast(x, 'f16') : x);

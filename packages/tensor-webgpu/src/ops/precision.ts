import { isFloat } from '../dtype.ts';
import type { Tensor } from '../tensor.ts';
import { cast } from './cast.ts';

/** The float type in which products are computed: `f16` halves the bytes. */
export type Precision = 'f32' | 'f16';

let current: Precision = 'f32';

/** The precision in force. */
export const currentPrecision = (): Precision => current;

/**
 * Runs a function in which products (linear, matmul, conv2d, attention) take their operands in that type; sums stay f32, and so do
 * norms, softmax and losses of f32 input. Parameters stay what they are: they are cast on the way in, and their gradients on the way back.
 */
export function withPrecision<T>(precision: Precision, run: () => T): T {
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

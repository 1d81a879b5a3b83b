import { record } from '../autograd/record.ts';
import { TensorError } from '../errors.ts';
import { broadcastShapes, sameShape, type Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { repeatView } from './repeat-view.ts';
import { sumTo } from './reduce.ts';

/** Repeats axes of size 1, and new leading axes, to reach a shape. A view. */
export function expand(x: Tensor, shape: Shape): Tensor {
  if (!sameShape(broadcastShapes('expand', x.shape, shape), shape))
    throw new TensorError('expand', `[${x.shape}] must broadcast to [${shape}].`);
  return record('expand', repeatView(x, shape), [x], (dy) => [sumTo(dy, x.shape)]);
}

import type { Shape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';

/** A view that repeats axes of size 1 and new leading axes by strides of 0; not recorded. The shape must be one that x broadcasts to. */
export function repeatView(x: Tensor, shape: Shape): Tensor {
  const lead = shape.length - x.rank;
  const strides = shape.map((side, i) => (i < lead || x.shape[i - lead] !== side ? 0 : x.strides[i - lead]!));
  return x.view([...shape], strides);
}

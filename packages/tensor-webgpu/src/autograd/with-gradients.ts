import { check } from '../errors.ts';
import { mul } from '../ops/elementwise.ts';
import { detach } from '../ops/view.ts';
import { sameShape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { record } from './record.ts';

/**
 * A scalar whose gradients are known already: the value of y, and on the way back each input's gradient times the upstream one; what lies behind y is not seen again.
 * For losses whose parts are weighed by their own gradients. y: [], gradients in the order and of the shapes of the inputs.
 * @throws TensorError if y has more than one element or a gradient does not fit.
 */
export function withGradients(y: Tensor, inputs: readonly Tensor[], gradients: readonly Tensor[]): Tensor {
  check('withGradients', y.size === 1, () => `y must have one element, got [${y.shape}]. Reduce it with sum or mean.`);
  const odd = inputs.findIndex(({ shape }, i) => !gradients[i] || !sameShape(gradients[i].shape, shape));
  check(
    'withGradients',
    odd < 0 && inputs.length === gradients.length,
    () =>
      `gradients must be one for each input and of its shape, got ${gradients.length} for ${inputs.length}${odd < 0 ? '' : `, and [${gradients[odd]?.shape}] for [${inputs[odd]!.shape}]`}.`,
  );
  return record('withGradients', detach(y), inputs, (dy) => gradients.map((gradient) => mul(gradient, dy)));
}

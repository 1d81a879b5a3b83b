import { scope } from '../scope.ts';
import { currentPrecision, withPrecision } from '../ops/precision.ts';
import type { Tensor } from '../tensor.ts';
import { vectorJacobian } from './backward.ts';
import { noGrad, record, wantsGrad, withRecording } from './record.ts';

/**
 * Runs a function keeping only its inputs and its output; the backward runs it again for what lies between.
 * Gradients are those of the plain call, bit for bit, as long as the function depends on nothing but its inputs and parameters.
 * @param inputs tensors that the function gets as arguments.
 * @param parameters tensors that it uses from outside, and that want gradients.
 */
export function checkpoint(
  run: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  parameters: readonly Tensor[] = [],
): Tensor {
  const y = scope(() => noGrad(() => run(...inputs)));
  const sources = [...inputs, ...parameters];
  const precision = currentPrecision();
  return record('checkpoint', y, sources, (dy) => {
    const leaves = inputs.map(leafOf);
    const again = withRecording(true, () => withPrecision(precision, () => run(...leaves)));
    const wanted = [...leaves, ...parameters].filter(wantsGrad);
    const gradients = vectorJacobian([again], [dy.view(dy.shape, dy.strides)], wanted);
    return sources.map((source) => (wantsGrad(source) ? gradients.shift()! : null));
  });
}

/** The same value as the start of a graph of its own. */
function leafOf(x: Tensor): Tensor {
  const leaf = x.view(x.shape, x.strides);
  leaf.requiresGrad = wantsGrad(x);
  return leaf;
}

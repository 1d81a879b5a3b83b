import { TensorError } from '../errors.ts';
import { scope } from '../scope.ts';
import { sameShape } from '../shape.ts';
import { full, type Tensor, zeros } from '../tensor.ts';
import type { DType } from '../dtype.ts';
import { cast } from '../ops/cast.ts';
import { add } from '../ops/elementwise.ts';
import { withPrecision } from '../ops/precision.ts';
import { contiguous, reshape } from '../ops/view.ts';
import type { Node } from './node.ts';
import { noGrad, wantsGrad } from './record.ts';

/**
 * Gradients of a scalar with respect to tensors, in their order and dtypes; zeros where the scalar does not depend on one.
 * @param upstream a factor of all gradients, of one element: a loss scale. 1 if absent.
 * @throws TensorError if y has more than one element.
 */
export function backward(y: Tensor, wanted: readonly Tensor[], upstream?: Tensor): Tensor[] {
  if (y.size !== 1)
    throw new TensorError('backward', `output must have one element, got [${y.shape}]. Reduce it with sum or mean.`);
  return scope(() =>
    noGrad(() => {
      const dy = upstream ? cast(reshape(upstream, y.shape), y.dtype) : full(y.shape, 1, { dtype: y.dtype });
      return vectorJacobian([y], [dy === upstream ? dy.view(dy.shape, dy.strides) : dy], wanted);
    }),
  );
}

/** Sum over outputs of (upstream gradient) x (Jacobian), for each wanted tensor. */
export function vectorJacobian(
  outputs: readonly Tensor[],
  upstream: readonly Tensor[],
  wanted: readonly Tensor[],
): Tensor[] {
  const gradients = new Map<Tensor, Tensor>();
  const keep = new Set(wanted);
  outputs.forEach((output, i) => accumulate(gradients, output, upstream[i]!));
  for (const node of nodesBackwards(outputs)) {
    const dys = node.outputs.map((output) => gradients.get(output) ?? null);
    if (dys.every((dy) => dy === null)) continue;
    // Gradients have the types of what they belong to; none is narrowed by a precision that is in force around the call.
    withPrecision('f32', () => runNode(node, dys, gradients));
    for (const output of node.outputs) {
      if (keep.has(output)) continue;
      gradients.get(output)?.dispose();
      gradients.delete(output);
    }
  }
  return wanted.map((tensor) => contiguous(gradients.get(tensor) ?? zeros(tensor.shape, { dtype: tensor.dtype })));
}

function runNode(node: Node, dys: readonly (Tensor | null)[], gradients: Map<Tensor, Tensor>): void {
  const results = scope(() =>
    node.backward(dys).map((dx) => (dx && dys.includes(dx) ? dx.view(dx.shape, dx.strides) : dx)),
  );
  node.inputs.forEach((input, i) => {
    const dx = results[i];
    if (!dx) return;
    if (!wantsGrad(input)) dx.dispose();
    else accumulate(gradients, input, checkGradient(node, input, dx));
  });
}

function checkGradient(node: Node, input: Tensor, dx: Tensor): Tensor {
  // A float op may widen what it mixes; its inputs want gradients of their own type.
  if (sameShape(input.shape, dx.shape)) return retyped(dx, input.dtype);
  throw new TensorError(
    node.op,
    `gradient must have the input's shape [${input.shape}], got [${dx.shape}]. This is a bug in the op.`,
  );
}

function retyped(dx: Tensor, dtype: DType): Tensor {
  if (dx.dtype === dtype) return dx;
  const other = cast(dx, dtype);
  dx.dispose();
  return other;
}

function accumulate(gradients: Map<Tensor, Tensor>, target: Tensor, dx: Tensor): void {
  const before = gradients.get(target);
  gradients.set(target, before ? add(before, dx) : dx);
  if (!before) return;
  before.dispose();
  dx.dispose();
}

/** Recorded nodes that the outputs depend on, latest first. */
function nodesBackwards(outputs: readonly Tensor[]): Node[] {
  const found = new Set<Node>();
  const open = [...outputs];
  for (let tensor = open.pop(); tensor; tensor = open.pop()) {
    if (!tensor.node || found.has(tensor.node)) continue;
    found.add(tensor.node);
    open.push(...tensor.node.inputs.filter(wantsGrad));
  }
  return [...found].sort((a, b) => b.id - a.id);
}

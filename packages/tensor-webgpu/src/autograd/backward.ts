import { TensorError } from '../errors.ts';
import { scope } from '../scope.ts';
import { sameShape } from '../shape.ts';
import { full, type Tensor, zeros } from '../tensor.ts';
import { add } from '../ops/elementwise.ts';
import { contiguous } from '../ops/view.ts';
import type { Node } from './node.ts';
import { noGrad, wantsGrad } from './record.ts';

/**
 * Gradients of a scalar with respect to tensors, in their order; zeros where the scalar does not depend on one.
 * @throws TensorError if y has more than one element or was not recorded.
 */
export function backward(y: Tensor, wanted: readonly Tensor[]): Tensor[] {
  if (y.size !== 1)
    throw new TensorError('backward', `output must have one element, got [${y.shape}]. Reduce it with sum or mean.`);
  return scope(() => noGrad(() => vectorJacobian([y], [full(y.shape, 1, { dtype: y.dtype })], wanted)));
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
    runNode(node, dys, gradients);
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
  if (sameShape(input.shape, dx.shape)) return dx;
  throw new TensorError(
    node.op,
    `gradient must have the input's shape [${input.shape}], got [${dx.shape}]. This is a bug in the op.`,
  );
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

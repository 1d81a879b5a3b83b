import { TensorError } from '../errors.ts';
import { scope } from '../scope.ts';
import { sameShape } from '../shape.ts';
import { full, type Tensor, zeros } from '../tensor.ts';
import type { DType } from '../dtype.ts';
import { cast } from '../ops/cast.ts';
import { add } from '../ops/elementwise.ts';
import { addInto } from '../ops/map.ts';
import { withPrecision } from '../ops/precision.ts';
import { contiguous, reshape } from '../ops/view.ts';
import type { Node } from './node.ts';
import { noGrad, wantsGrad } from './record.ts';

/** What `backward` does with gradients beside returning them. */
export interface BackwardOptions {
  /** Gradients of an earlier call for the same tensors: this one's are added to them, in place where their memory is their own. They are taken over. */
  readonly onto?: readonly Tensor[] | undefined;
  /** Called for each wanted tensor, by its place, as soon as nothing will be added to its gradient any more. */
  readonly onFinal?: ((place: number, gradient: Tensor) => void) | undefined;
}

/**
 * Gradients of a scalar with respect to tensors, in their order and dtypes; zeros where the scalar does not depend on one.
 * @param upstream a factor of all gradients, of one element: a loss scale. 1 if absent.
 * @throws TensorError if y has more than one element, or gradients to add to do not fit.
 */
export function backward(
  y: Tensor,
  wanted: readonly Tensor[],
  upstream?: Tensor,
  { onto, onFinal }: BackwardOptions = {},
): Tensor[] {
  if (y.size !== 1)
    throw new TensorError('backward', `output must have one element, got [${y.shape}]. Reduce it with sum or mean.`);
  checkOnto(wanted, onto);
  return scope(() =>
    noGrad(() => {
      const dy = upstream ? cast(reshape(upstream, y.shape), y.dtype) : full(y.shape, 1, { dtype: y.dtype });
      return vectorJacobian([y], [dy === upstream ? dy.view(dy.shape, dy.strides) : dy], wanted, { onto, onFinal });
    }),
  );
}

function checkOnto(wanted: readonly Tensor[], onto: readonly Tensor[] | undefined): void {
  const odd = onto && wanted.findIndex((tensor, i) => !isGradientOf(onto[i], tensor));
  if (odd !== undefined && odd >= 0)
    throw new TensorError(
      'backward',
      `gradients to add to must be those of the same parameters, got ${describe(onto![odd])} for ${describe(wanted[odd])}.`,
    );
}

/** A result of other tensors hands its gradient on: what it had before would be handed on twice. */
const isGradientOf = (gradient: Tensor | undefined, tensor: Tensor): boolean =>
  gradient !== undefined &&
  gradient.dtype === tensor.dtype &&
  sameShape(gradient.shape, tensor.shape) &&
  tensor.node === undefined;

const describe = (tensor: Tensor | undefined): string =>
  tensor ? `${tensor.dtype} [${tensor.shape}]${tensor.node ? `, a result of ${tensor.node.op}` : ''}` : 'none';

/** Sum over outputs of (upstream gradient) x (Jacobian), for each wanted tensor, added to what they have before. */
export function vectorJacobian(
  outputs: readonly Tensor[],
  upstream: readonly Tensor[],
  wanted: readonly Tensor[],
  { onto = [], onFinal }: BackwardOptions = {},
): Tensor[] {
  const gradients = new Map(onto.map((gradient, i) => [wanted[i]!, gradient]));
  const keep = new Set(wanted);
  outputs.forEach((output, i) => accumulate(gradients, output, upstream[i]!));
  const nodes = nodesBackwards(outputs);
  const results: Tensor[] = [];
  const finish = (place: number): void => {
    const { shape, dtype } = wanted[place]!;
    results[place] = contiguous(gradients.get(wanted[place]!) ?? zeros(shape, { dtype }));
    onFinal?.(place, results[place]);
  };
  const lastUses = placesByLastUse(nodes, wanted);
  for (const node of nodes) {
    const dys = node.outputs.map((output) => gradients.get(output) ?? null);
    // Gradients have the types of what they belong to; none is narrowed by a precision that is in force around the call.
    if (dys.some((dy) => dy !== null)) withPrecision('f32', () => runNode(node, dys, gradients));
    lastUses.get(node)?.forEach(finish);
    for (const output of node.outputs) {
      if (keep.has(output)) continue;
      gradients.get(output)?.dispose();
      gradients.delete(output);
    }
  }
  lastUses.get(undefined)?.forEach(finish);
  return results;
}

/** Places of the wanted tensors by the last node that adds to their gradient; undefined for those that no node reads. */
function placesByLastUse(nodes: readonly Node[], wanted: readonly Tensor[]): Map<Node | undefined, number[]> {
  const last = new Map<Tensor, Node>();
  for (const node of nodes) for (const input of node.inputs) last.set(input, node);
  const places = new Map<Node | undefined, number[]>();
  wanted.forEach((tensor, place) => {
    const node = last.get(tensor);
    places.set(node, [...(places.get(node) ?? []), place]);
  });
  return places;
}

function runNode(node: Node, dys: readonly (Tensor | null)[], gradients: Map<Tensor, Tensor>): void {
  const results = scope(() =>
    node
      .backward(dys, (i) => ownGradient(gradients, node.inputs[i]!))
      .map((dx) => (dx && dys.includes(dx) ? dx.view(dx.shape, dx.strides) : dx)),
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
  if (before === dx) return;
  const own = ownGradient(gradients, target);
  if (own) addInto(own, dx);
  else gradients.set(target, before ? add(before, dx) : dx);
  if (!before) return;
  dx.dispose();
  if (!own) before.dispose();
}

/** The gradient that a tensor has so far, if nothing else sees its memory. */
function ownGradient(gradients: ReadonlyMap<Tensor, Tensor>, target: Tensor): Tensor | undefined {
  const gradient = gradients.get(target);
  return gradient?.isPacked && gradient.storage.references === 1 ? gradient : undefined;
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

import { isFloat } from '../dtype.ts';
import type { Tensor } from '../tensor.ts';
import type { Backward, JointBackward } from './node.ts';

let enabled = true;
let nextId = 1;

/** Runs a function without recording; nothing inside can be differentiated. */
export function noGrad<T>(run: () => T): T {
  return withRecording(false, run);
}

/** Runs a function with recording on, also inside noGrad; recompute checkpoints need it. */
export function withRecording<T>(on: boolean, run: () => T): T {
  const before = enabled;
  enabled = on;
  try {
    return run();
  } finally {
    enabled = before;
  }
}

/** True if gradients flow through a tensor. */
export const wantsGrad = (tensor: Tensor): boolean =>
  isFloat(tensor.dtype) && (tensor.requiresGrad || tensor.node !== undefined);

/** True if an op on these inputs would be recorded. */
export const isRecorded = (inputs: readonly Tensor[]): boolean => enabled && inputs.some(wantsGrad);

/** Notes how y came from its inputs, if recording is on and any of them wants a gradient. Returns y. */
export function record(op: string, y: Tensor, inputs: readonly Tensor[], backward: Backward): Tensor {
  recordJoint(op, [y], inputs, ([dy], sofar) => backward(dy!, sofar));
  return y;
}

/** Notes how several outputs came from the same inputs in one go, so that one backward run serves them all. */
export function recordJoint(
  op: string,
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  backward: JointBackward,
): void {
  if (!isRecorded(inputs)) return;
  const node = { id: nextId++, op, inputs, outputs, backward };
  for (const output of outputs) output.node = node;
}

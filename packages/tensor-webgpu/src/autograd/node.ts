import type { Tensor } from '../tensor.ts';

/**
 * The sum of gradients that an input has so far, if the op may add its own to it in place; it then returns that tensor for the input.
 * Undefined where there is none yet, or where its memory is another tensor's too.
 */
type Sofar = (input: number) => Tensor | undefined;

/** Gradients of a node's inputs from the gradient of its output; null where an input takes none. */
export type Backward = (dy: Tensor, sofar: Sofar) => readonly (Tensor | null)[];

/** The same for a node of several outputs: an upstream gradient is null where nothing used the output. */
export type JointBackward = (dys: readonly (Tensor | null)[], sofar: Sofar) => readonly (Tensor | null)[];

/** One recorded op: a later node never feeds an earlier one, so ids order the graph. */
export interface Node {
  readonly id: number;
  readonly op: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly backward: JointBackward;
}

import type { Tensor } from '../tensor.ts';

/** Gradients of a node's inputs from the gradient of its output; null where an input takes none. */
export type Backward = (dy: Tensor) => readonly (Tensor | null)[];

/** The same for a node of several outputs: an upstream gradient is null where nothing used the output. */
export type JointBackward = (dys: readonly (Tensor | null)[]) => readonly (Tensor | null)[];

/** One recorded op: a later node never feeds an earlier one, so ids order the graph. */
export interface Node {
  readonly id: number;
  readonly op: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly backward: JointBackward;
}

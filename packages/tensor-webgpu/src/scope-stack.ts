import type { Tensor } from './tensor.ts';

const stack: Set<Tensor>[] = [];

/** Opens a scope and returns the set of tensors that will be made in it. */
export function enterScope(): Set<Tensor> {
  const made = new Set<Tensor>();
  stack.push(made);
  return made;
}

/** Closes the innermost scope. */
export function leaveScope(): void {
  stack.pop();
}

/** The innermost open scope, if any. */
export const openScope = (): Set<Tensor> | undefined => stack.at(-1);

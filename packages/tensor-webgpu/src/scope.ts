import { Tensor } from './tensor.ts';
import { enterScope, leaveScope } from './scope-stack.ts';

/** Runs a function and frees every tensor made inside, except those found in its result. */
export function scope<T>(run: () => T): T {
  const made = enterScope();
  const kept = new Set<Tensor>();
  try {
    const result = run();
    collectTensors(result, kept);
    return result;
  } finally {
    leaveScope();
    for (const tensor of made) {
      if (kept.has(tensor)) tensor.track();
      else tensor.dispose();
    }
  }
}

/** Adds every tensor inside arrays, maps and plain objects to the set. */
function collectTensors(value: unknown, into: Set<Tensor>): void {
  if (value instanceof Tensor) into.add(value);
  else if (Array.isArray(value)) for (const item of value) collectTensors(item, into);
  else if (value instanceof Map) for (const item of value.values()) collectTensors(item, into);
  else if (isPlainObject(value)) for (const item of Object.values(value)) collectTensors(item, into);
}

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

import { TorchFileError } from './errors.ts';
import { TorchTensor } from './tensor.ts';

/** A type, device or class of a torch file, known by its name only. */
export class TorchName {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What a torch file can hold: lists, tuples and sets are arrays; dictionaries and plain objects are maps. */
export type TorchValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | TorchName
  | TorchTensor
  | readonly TorchValue[]
  | ReadonlyMap<TorchValue, TorchValue>;

const deepest = 64;
const mostValues = 2_000_000;
const mostTensors = 100_000;
const longestName = 1000;

/** True for the maps among the values. */
export const isTorchMap = (value: unknown): value is ReadonlyMap<TorchValue, TorchValue> => value instanceof Map;

/** The value under a path of names, or undefined. */
export const torchAt = (value: TorchValue | undefined, ...path: readonly string[]): TorchValue | undefined =>
  path.reduce<TorchValue | undefined>((inner, key) => (isTorchMap(inner) ? inner.get(key) : undefined), value);

/**
 * Every tensor inside a value, by its path with dots.
 * @throws TorchFileError where the value is nested too deeply or without end
 */
export function tensorsIn(value: TorchValue | undefined): Map<string, TorchTensor> {
  const found = new Map<string, TorchTensor>();
  let visited = 0;
  const visit = (inner: TorchValue | undefined, path: readonly string[]): void => {
    if (path.length > deepest || ++visited > mostValues)
      throw new TorchFileError(`values must be nested at most ${deepest} deep and number at most ${mostValues}.`);
    if (inner instanceof TorchTensor) add(found, path, inner);
    else for (const [key, child] of childrenOf(inner)) visit(child, [...path, key]);
  };
  visit(value, []);
  return found;
}

function add(found: Map<string, TorchTensor>, path: readonly string[], tensor: TorchTensor): void {
  const length = path.reduce((sum, part) => sum + part.length + 1, 0);
  if (length > longestName || found.size >= mostTensors)
    throw new TorchFileError(
      `tensors must number at most ${mostTensors}, with names of at most ${longestName} characters, got a name of ${length} or more tensors.`,
    );
  found.set(path.join('.'), tensor);
}

/** Values inside a map or an array, with their names. */
export function* childrenOf(value: TorchValue | undefined): Generator<readonly [string, TorchValue]> {
  if (isTorchMap(value)) for (const [key, child] of value) yield [keyText(key), child];
  else if (Array.isArray(value))
    for (const [i, child] of (value as readonly TorchValue[]).entries()) yield [String(i), child];
}

/** A key as a part of a path: texts and numbers as they are, anything else by its kind. */
const keyText = (key: TorchValue): string =>
  typeof key === 'object' && key !== null ? (key instanceof TorchName ? key.name : 'object') : String(key);

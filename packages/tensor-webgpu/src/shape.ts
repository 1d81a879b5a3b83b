import { check } from './errors.ts';

/** Sizes of a tensor's axes, outermost first. */
export type Shape = readonly number[];

/** Number of elements of a shape. */
export const sizeOf = (shape: Shape): number => shape.reduce((product, side) => product * side, 1);

/** Row-major strides, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

/** True if elements lie row-major without gaps; axes of size 1 may have any stride. */
export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  const wanted = contiguousStrides(shape);
  return shape.every((side, axis) => side === 1 || strides[axis] === wanted[axis]);
}

/** True if two shapes are equal. */
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((side, i) => side === b[i]);

/** The shape that two shapes broadcast to, by NumPy's rule. */
export function broadcastShapes(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    check(
      op,
      x === y || x === 1 || y === 1,
      () => `shapes must broadcast, got [${a}] and [${b}]. Reshape or expand one of them.`,
    );
    return x === 1 ? y : x;
  });
}

/** Maps a possibly negative axis into 0..rank-1. */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  const index = axis < 0 ? axis + rank : axis;
  check(
    op,
    Number.isInteger(index) && index >= 0 && index < rank,
    () => `axis must lie in -${rank}..${rank - 1}, got ${axis}.`,
  );
  return index;
}

/** Checks that every side is a non-negative integer, and returns a copy. */
export function checkShape(op: string, shape: Shape): number[] {
  check(
    op,
    shape.every((side) => Number.isInteger(side) && side >= 0),
    () => `shape must hold non-negative integers, got [${shape}].`,
  );
  return [...shape];
}

/** Fills in one -1 of a reshape target from the number of elements. */
export function resolveShape(op: string, target: Shape, count: number): number[] {
  const known = target.filter((side) => side !== -1).reduce((product, side) => product * side, 1);
  const shape = target.map((side) => (side === -1 ? count / known : side));
  check(
    op,
    sizeOf(shape) === count && shape.every(Number.isInteger),
    () => `shape must keep ${count} elements, got [${target}].`,
  );
  return shape;
}

/** x: [..., C] seen as R rows of C. */
export function rowsOf(shape: Shape): { R: number; C: number } {
  const C = shape.at(-1) ?? 1;
  return { R: C === 0 ? 0 : sizeOf(shape) / C, C };
}

import { record } from '../autograd/record.ts';
import { type DType, isFloat } from '../dtype.ts';
import { type Reduction, reduceKernel } from '../kernels/reduce.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { normalizeAxis, sameShape, type Shape, sizeOf } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { launch, singleStorageOf, singleType, storageOf } from './launch.ts';
import { map } from './map.ts';
import { repeatView } from './repeat-view.ts';
import { contiguous, reshape } from './view.ts';

/** Which axes a reduction goes over, and whether they stay. */
export interface ReduceOptions {
  /** Axis or axes to reduce; all by default. */
  readonly axis?: number | readonly number[];
  /** Keeps reduced axes with size 1. */
  readonly keepDim?: boolean;
}

/** Sum over axes. x: [...] -> [...]. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { axes, keptShape, shape } = target('sum', x, options);
  const y = reshape(reduceAxes('sum', x, axes, 1), shape);
  return record('sum', y, [x], (dy) => [repeatView(reshape(dy, keptShape), x.shape)]);
}

/** Mean over axes. x: [...] -> [...]. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { axes, keptShape, shape } = target('mean', x, options);
  const scale = sizeOf(shape) / Math.max(1, x.size);
  const y = reshape(reduceAxes('sum', x, axes, scale), shape);
  return record('mean', y, [x], (dy) => [
    repeatView(reshape(map('mean', [dy], 'a * u.s0', { scalars: [scale] }), keptShape), x.shape),
  ]);
}

/** Largest element along axes. x: [...] -> [...]. The gradient is shared evenly by ties. */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => extremum('max', x, options);

/** Smallest element along axes. x: [...] -> [...]. The gradient is shared evenly by ties. */
export const min = (x: Tensor, options: ReduceOptions = {}): Tensor => extremum('min', x, options);

/** Index of the largest element of each row, the first on a tie. x: [..., C] -> u32 [...]. */
export const argmax = (x: Tensor): Tensor => argument('argmax', x);

/** Index of the smallest element of each row, the first on a tie. x: [..., C] -> u32 [...]. */
export const argmin = (x: Tensor): Tensor => argument('argmin', x);

/** Sums a gradient back over the axes that broadcasting had added or repeated. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.rank - shape.length;
  const axes = x.shape.map((_, i) => i).filter((i) => i < lead || (shape[i - lead] === 1 && x.shape[i] !== 1));
  return reshape(reduceAxes('sum', x, axes, 1), shape);
}

function extremum(op: 'max' | 'min', x: Tensor, options: ReduceOptions): Tensor {
  const { axes, keptShape, shape } = target(op, x, options);
  const y = reshape(reduceAxes(op, x, axes, 1), shape);
  return record(op, y, [x], (dy) => {
    const hit = map(op, [x, reshape(y, keptShape)], 'select(vec4<f32>(0.0), vec4<f32>(1.0), a == b)');
    const ties = reduceAxes('sum', hit, axes, 1);
    return [map(op, [hit, reshape(dy, keptShape), reshape(ties, keptShape)], 'a * b / c')];
  });
}

function argument(op: 'argmax' | 'argmin', x: Tensor): Tensor {
  return reshape(reduceLast(op, contiguous(x), 1, 'u32'), x.shape.slice(0, -1));
}

function target(
  op: string,
  x: Tensor,
  { axis, keepDim = false }: ReduceOptions,
): { axes: number[]; keptShape: number[]; shape: number[] } {
  const given = axis === undefined ? x.shape.map((_, i) => i) : typeof axis === 'number' ? [axis] : axis;
  const axes = given.map((a) => normalizeAxis(op, a, x.rank));
  const keptShape = x.shape.map((side, i) => (axes.includes(i) ? 1 : side));
  return { axes, keptShape, shape: keepDim ? keptShape : x.shape.filter((_, i) => !axes.includes(i)) };
}

/** Reduces runs of neighbouring axes, innermost first; sides become 1. */
function reduceAxes(reduction: Reduction, x: Tensor, axes: readonly number[], scale: number): Tensor {
  let y = contiguous(x);
  const runs = axisRuns(axes);
  runs.forEach(([from, to], i) => {
    const outer = sizeOf(y.shape.slice(0, from));
    const length = sizeOf(y.shape.slice(from, to + 1));
    const inner = sizeOf(y.shape.slice(to + 1));
    const shape = y.shape.map((side, axis) => (axis >= from && axis <= to ? 1 : side));
    const isLast = i === runs.length - 1;
    const dtype = isLast ? singleType(x) : partialType(x);
    y = reduceMiddle(reduction, y, { outer, length, inner, scale: isLast ? scale : 1, shape, dtype });
  });
  return runs.length ? cast(y, x.dtype) : map(reduction, [y], 'a * u.s0', { scalars: [scale] });
}

/** Type of sums that go into further sums. */
const partialType = ({ dtype }: Tensor): DType => (isFloat(dtype) ? 'f32' : dtype);

/** [first, last] of each run of neighbouring axes, innermost run first. */
function axisRuns(axes: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const axis of [...new Set(axes)].sort((a, b) => b - a)) {
    const run = runs.at(-1);
    if (run && run[0] === axis + 1) run[0] = axis;
    else runs.push([axis, axis]);
  }
  return runs;
}

interface Middle {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  readonly scale: number;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Rows above which a long reduction is cut in two, for parallelism and for accuracy. */
const longReduction = 2048;

function reduceMiddle(reduction: Reduction, x: Tensor, middle: Middle): Tensor {
  const { outer, length, inner, scale, shape, dtype } = middle;
  const chunk = splitFactor(length);
  if (length > longReduction && chunk > 1) {
    const parts = length / chunk;
    const partial = reduceMiddle(reduction, x, {
      outer: outer * parts,
      length: chunk,
      inner,
      scale: 1,
      shape: [outer, parts, inner],
      dtype: partialType(x),
    });
    return reduceMiddle(reduction, partial, { outer, length: parts, inner, scale, shape, dtype });
  }
  const y = empty(shape, dtype, x.storage.device);
  launchReduce(reduction, { x, y, outer, length, inner, scale });
  return y;
}

/** The largest divisor of the length from 16 to 1024, or 1. */
function splitFactor(length: number): number {
  for (let chunk = 1024; chunk >= 16; chunk--) if (length % chunk === 0) return chunk;
  return 1;
}

function reduceLast(reduction: Reduction, x: Tensor, scale: number, dtype: DType): Tensor {
  const length = x.shape.at(-1) ?? 1;
  const outer = x.size / Math.max(1, length);
  const y = empty([outer], dtype, x.storage.device);
  launchReduce(reduction, { x, y, outer, length, inner: 1, scale });
  return y;
}

interface ReduceLaunch {
  readonly x: Tensor;
  readonly y: Tensor;
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  readonly scale: number;
}

function launchReduce(reduction: Reduction, { x, y, outer, length, inner, scale }: ReduceLaunch): void {
  const lanes = inner > 1 || length < 32 ? 1 : length < 512 ? 16 : 64;
  const outputs = outer * inner;
  launch(reduceKernel, {
    spec: { reduction, type: storageOf(x), result: singleStorageOf(y), lanes },
    tensors: { x, y },
    uniforms: { outputs, length, inner, scale },
    grid: foldGrid(Math.ceil((outputs * lanes) / 64)),
  });
}

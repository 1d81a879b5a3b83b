import { noGrad, record } from '../autograd/record.ts';
import { bytesPerElement, isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import { copyAxisKernel } from '../kernels/copy-axis.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import type { Storage } from '../kernels/storage.ts';
import { normalizeAxis, resolveShape, type Shape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { launch, storageOf } from './launch.ts';
import { map, mapInto } from './map.ts';
import { isBindable, rowRuns, rowsPart } from './parts.ts';

/** The same elements, packed; a copy only where needed. x: [...] -> [...]. */
export function contiguous(x: Tensor): Tensor {
  if (x.isPacked) return x;
  const y = empty(x.shape, x.dtype, x.storage.device);
  mapInto('contiguous', y, [x], 'a');
  return record('contiguous', y, [x], (dy) => [dy]);
}

/** A packed copy, always in memory of its own. */
export function clone(x: Tensor): Tensor {
  return record('clone', map('clone', [x], 'a'), [x], (dy) => [dy]);
}

/** The same value, cut off from the graph. */
export const detach = (x: Tensor): Tensor => x.view(x.shape, x.strides);

/** The same elements in another shape; one side may be -1. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const target = resolveShape('reshape', shape, x.size);
  const packed = contiguous(x);
  return record('reshape', packed.view(target), [packed], (dy) => [reshape(dy, packed.shape)]);
}

/** Axes in another order: y.shape[i] = x.shape[order[i]]. A view. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  const axes = order.map((axis) => normalizeAxis('permute', axis, x.rank));
  check('permute', new Set(axes).size === x.rank, () => `order must name each of ${x.rank} axes once, got [${order}].`);
  const y = x.view(
    axes.map((axis) => x.shape[axis]!),
    axes.map((axis) => x.strides[axis]!),
  );
  return record('permute', y, [x], (dy) => [
    permute(
      dy,
      axes.map((_, i) => axes.indexOf(i)),
    ),
  ]);
}

/** Swaps two axes; the last two by default. A view. */
export function transpose(x: Tensor, first = -2, second = -1): Tensor {
  const order = x.shape.map((_, i) => i);
  const a = normalizeAxis('transpose', first, x.rank);
  const b = normalizeAxis('transpose', second, x.rank);
  [order[a], order[b]] = [b, a];
  return permute(x, order);
}

/** Elements start..end-1 along an axis. A view. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const along = normalizeAxis('slice', axis, x.rank);
  const side = x.shape[along]!;
  check(
    'slice',
    start >= 0 && start <= end && end <= side,
    () => `range must lie in 0..${side}, got ${start}..${end}.`,
  );
  const shape = x.shape.map((length, i) => (i === along ? end - start : length));
  const y = x.view(shape, x.strides, x.offset + start * x.strides[along]!);
  return record('slice', y, [x], (dy) => [padAxis(dy, along, start, side - end)]);
}

/** Zeros before and after along an axis: the backward of slice. */
export function padAxis(x: Tensor, axis: number, before: number, after: number): Tensor {
  const along = normalizeAxis('padAxis', axis, x.rank);
  const zerosLike = (length: number): Tensor =>
    map('padAxis', [], `vec4<f32>(0.0)`, {
      dtype: x.dtype,
      shape: x.shape.map((side, i) => (i === along ? length : side)),
    });
  const parts = [...(before ? [zerosLike(before)] : []), x, ...(after ? [zerosLike(after)] : [])];
  return parts.length === 1 ? x : concat(parts, along);
}

/** Joins tensors along an axis; the other sides must agree. f16 joined with f32 is f32. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  check('concat', parts.length > 0, () => 'tensors must not be empty.');
  const dtypes = [...new Set(parts.map(({ dtype }) => dtype))];
  check(
    'concat',
    dtypes.length === 1 || dtypes.every(isFloat),
    () => `tensors must share a dtype or be floats, got ${dtypes.join(', ')}. Cast them.`,
  );
  const tensors = dtypes.length === 1 ? parts : parts.map((part) => cast(part, 'f32'));
  const first = tensors[0]!;
  const along = normalizeAxis('concat', axis, first.rank);
  for (const { shape } of tensors) {
    const agrees = shape.length === first.rank && shape.every((side, i) => i === along || side === first.shape[i]);
    check('concat', agrees, () => `shapes must agree outside axis ${along}, got [${first.shape}] and [${shape}].`);
  }
  const lengths = tensors.map(({ shape }) => shape[along]!);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const y = empty(
    first.shape.map((side, i) => (i === along ? total : side)),
    first.dtype,
    first.storage.device,
  );
  let start = 0;
  for (const tensor of tensors) {
    copyInto(y, tensor, along, start);
    start += tensor.shape[along]!;
  }
  return record('concat', y, tensors, (dy) => {
    let at = 0;
    return lengths.map((length) => slice(dy, along, at, (at += length)));
  });
}

/** Joins equal shapes along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return concat(
    tensors.map((x) => reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)])),
    axis,
  );
}

/** Overwrites elements start, start+1, ... along an axis of a packed tensor, in place: a cache grows this way. No gradient. */
export function writeSlice(target: Tensor, x: Tensor, { axis, start }: { axis: number; start: number }): void {
  const along = normalizeAxis('writeSlice', axis, target.rank);
  const end = start + (x.shape[along] ?? 0);
  const agrees =
    x.rank === target.rank &&
    x.shape.every((side, i) => i === along || side === target.shape[i]) &&
    x.dtype === target.dtype;
  check(
    'writeSlice',
    target.isPacked && agrees,
    () =>
      `values must be ${target.dtype} that fit a packed [${target.shape}] outside axis ${along}, got ${x.dtype} [${x.shape}].`,
  );
  check(
    'writeSlice',
    start >= 0 && end <= target.shape[along]!,
    () => `range must lie in 0..${target.shape[along]}, got ${start}..${end}.`,
  );
  noGrad(() => copyInto(target, x, along, start));
}

/** Writes a tensor into its place along an axis of a packed one. */
function copyInto(y: Tensor, x: Tensor, axis: number, start: number): void {
  const source = contiguous(x);
  if (source.size === 0) return;
  const below = x.shape.slice(axis + 1).reduce((product, side) => product * side, 1);
  const place = { inner: x.shape[axis]! * below, stride: y.shape[axis]! * below, start: start * below };
  if (isBindable(source) && isBindable(y)) copyRows(y, source, place);
  else copyByParts(y, source, place);
  if (source !== x) source.dispose();
}

/** Rows of `inner` elements go into rows of `stride` from element `start` on. */
interface RowPlace {
  readonly inner: number;
  readonly stride: number;
  readonly start: number;
}

function copyRows(y: Tensor, x: Tensor, place: RowPlace): void {
  const { type, step, count } = copyUnits(y, x, Object.values(place));
  const { inner, stride, start } = place;
  launch(copyAxisKernel, {
    spec: { type },
    tensors: { x, y },
    uniforms: { inner: inner / step, stride: stride / step, start: start / step, count, last: x.size - 1 },
    grid: foldGrid(Math.ceil(count / 256)),
  });
}

/** What an invocation copies: an element, a word of two halves, or a word of y of which runs cover a part. */
function copyUnits(
  y: Tensor,
  x: Tensor,
  runs: readonly number[],
): { readonly type: Storage; readonly step: 1 | 2; readonly count: number } {
  const type = storageOf(x);
  if (type !== 'packed') return { type, step: 1, count: x.size };
  if (runs.every((run) => run % 2 === 0)) return { type: 'u32', step: 2, count: x.size / 2 };
  return { type, step: 1, count: Math.ceil(y.size / 2) };
}

/** Rows that are copied one by one rather than by a kernel. */
const fewRows = 64;

/** The same where a tensor is too large to bind: few rows as copies of memory, many in runs. */
function copyByParts(y: Tensor, x: Tensor, { inner, stride, start }: RowPlace): void {
  const rows = x.size / inner;
  const bytes = bytesPerElement[x.dtype];
  const whole = [inner, stride, start].every((count) => (count * bytes) % 4 === 0);
  if (rows <= fewRows && whole) {
    for (let row = 0; row < rows; row++)
      x.storage.device.copy(x.buffer, row * inner * bytes, y.buffer, (row * stride + start) * bytes, inner * bytes);
    return;
  }
  for (const run of rowRuns('concat', rows, [x, y]))
    copyRows(rowsPart(y, rows, run), rowsPart(x, rows, run), { inner, stride, start });
}

import { bindingAlignment, partOf } from '../device/buffer-pool.ts';
import { bytesPerElement } from '../dtype.ts';
import { check } from '../errors.ts';
import { Tensor } from '../tensor.ts';

/** From one row to before another. */
export type Run = readonly [start: number, end: number];

/** True if kernels can bind all of the memory that a tensor lies in. */
export const isBindable = ({ storage }: Tensor): boolean => storage.buffer.bytes <= storage.device.largestBindingBytes;

/** Bytes from the first to the last element. */
function spanOf({ shape, strides, dtype, offset }: Tensor): Run {
  const last = shape.reduce((at, side, axis) => at + (side - 1) * strides[axis]!, offset);
  return [offset * bytesPerElement[dtype], (last + 1) * bytesPerElement[dtype]];
}

/** The same elements, over the part of the memory that they lie in: a tensor of its own to kernels. The memory must outlive it. */
export function part(x: Tensor): Tensor {
  if (x.size === 0) return x;
  const [first, end] = spanOf(x);
  const start = Math.floor(first / bindingAlignment) * bindingAlignment;
  const { device, buffer } = x.storage;
  // One reference more than there are tensors, so that the part is never given back: the whole is.
  const storage = { device, buffer: partOf(buffer, start, end - start), references: 1 };
  const offset = x.offset - start / bytesPerElement[x.dtype];
  return new Tensor({ storage, shape: x.shape, dtype: x.dtype, strides: x.strides, offset });
}

/** The same elements in memory that kernels can bind, if need be the part that they span. */
export const bindable = (x: Tensor): Tensor => (isBindable(x) ? x : part(x));

/** Elements start..end-1 along an axis, over their own part of memory; the tensor itself where that is all of it. Not recorded. */
export function partAlong(x: Tensor, axis: number, [start, end]: Run): Tensor {
  if (start === 0 && end === x.shape[axis]) return bindable(x);
  const shape = x.shape.map((side, i) => (i === axis ? end - start : side));
  return part(x.view(shape, x.strides, x.offset + start * x.strides[axis]!));
}

/** Rows start..end-1 of a packed tensor that is seen as so many rows, over their own part of memory; itself where that is all of it. */
export function rowsPart(x: Tensor, rows: number, [start, end]: Run): Tensor {
  if (start === 0 && end === rows) return bindable(x);
  const width = x.size / rows;
  return part(x.view([end - start, width], [width, 1], x.offset + start * width));
}

/** Rows from which a part may start: their bytes are a multiple of a binding's alignment. */
export const rowStep = ({ size, dtype }: Tensor, rows: number): number =>
  stepOf((size / rows) * bytesPerElement[dtype]);

/** Rows of so many bytes from which a part may start. */
export function stepOf(bytes: number): number {
  let step = 1;
  while ((bytes * step) % bindingAlignment !== 0) step *= 2;
  return step;
}

/**
 * Runs of rows of packed tensors that all have so many, such that each run of each tensor can be bound: one run where all of them can be whole.
 * @throws TensorError naming a tensor whose rows are too long.
 */
export function rowRuns(op: string, rows: number, tensors: readonly Tensor[]): readonly Run[] {
  if (rows === 0 || tensors.every(isBindable)) return [[0, rows]];
  const limit = tensors[0]!.storage.device.largestBindingBytes;
  const step = tensors.reduce((most, x) => Math.max(most, rowStep(x, rows)), 1);
  const rowBytes = tensors.reduce((most, { size, dtype }) => Math.max(most, (size / rows) * bytesPerElement[dtype]), 0);
  const most = Math.floor(limit / rowBytes / step) * step;
  check(
    op,
    most > 0,
    () =>
      `${step} of the ${rows} rows of [${tensors.find(({ size, dtype }) => (size / rows) * bytesPerElement[dtype] === rowBytes)!.shape}] must fit one binding of ${limit} bytes, got ${step * rowBytes}. Use f16, or an adapter with larger bindings.`,
  );
  return runsOf(rows, most);
}

/** Runs of at most so many rows. */
export const runsOf = (rows: number, most: number): readonly Run[] =>
  Array.from({ length: Math.ceil(rows / most) }, (_, i) => [i * most, Math.min(rows, (i + 1) * most)]);

import type { DType } from '../dtype.ts';
import { check } from '../errors.ts';
import { elementsPerGroup, elementwiseKernel, maxRank, type OperandMode } from '../kernels/elementwise.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { broadcastShapes, sameShape, type Shape, sizeOf } from '../shape.ts';
import { empty, Tensor } from '../tensor.ts';
import { launch, storageOf } from './launch.ts';
import { bindable, isBindable, part, partAlong, rowStep, type Run, runsOf } from './parts.ts';

const names = ['a', 'b', 'c', 'd'];

/** An operand of a map, with how its elements line up with the output. */
interface Operand {
  readonly tensor: Tensor;
  readonly mode: OperandMode;
  readonly period: number;
}

export interface MapOptions {
  readonly dtype?: DType;
  readonly scalars?: readonly number[];
  readonly shape?: Shape;
}

/**
 * y = expression(a, b, c, d) elementwise with broadcasting; the expression is WGSL over vec4 values and scalars u.s0, u.s1.
 * Not recorded: ops record around it.
 */
export function map(op: string, inputs: readonly Tensor[], expression: string, options: MapOptions = {}): Tensor {
  const shape = options.shape ?? inputs.map((x) => x.shape as Shape).reduce((a, b) => broadcastShapes(op, a, b));
  const y = empty(shape, options.dtype ?? inputs[0]!.dtype, inputs[0]?.storage.device);
  mapInto(op, y, inputs, expression, { scalars: options.scalars });
  return y;
}

/** Adds a tensor of its shape to a packed one, in place; no other tensor may share the packed one's memory. */
export const addInto = (y: Tensor, x: Tensor): void => mapInto('add', y, [x], 'a', { accumulate: true });

interface MapIntoOptions {
  readonly scalars?: readonly number[] | undefined;
  /** Adds to what y holds. */
  readonly accumulate?: boolean;
}

/** Writes expression(a, b, c, d) into a packed tensor. */
export function mapInto(
  op: string,
  y: Tensor,
  inputs: readonly Tensor[],
  expression: string,
  { scalars = [], accumulate = false }: MapIntoOptions = {},
): void {
  if (y.size === 0) return;
  const operands = inputs.map(bindable);
  if ([y, ...operands].every(isBindable)) return mapWhole(op, y, operands, { expression, scalars, accumulate });
  const isFlat = inputs.every((x) => x.isPacked && x.size === y.size);
  const whole = isFlat ? y.view([y.size]) : y;
  const axis = whole.shape.findIndex((side) => side > 1);
  for (const run of splitRuns(op, whole, { axis, inputs })) {
    const parts = inputs.map((x) => alongRun(x, whole.shape, { axis, run }));
    mapInto(op, partAlong(whole, axis, run), parts, expression, { scalars, accumulate });
  }
}

/** Runs along the first axis of more than one element that bring a map nearer to what can be bound; one that is still too large is split again. */
function splitRuns(
  op: string,
  y: Tensor,
  { axis, inputs }: { readonly axis: number; readonly inputs: readonly Tensor[] },
): readonly Run[] {
  const rows = y.shape[axis] ?? 1;
  const lined = [y, ...inputs.filter((x) => x.isPacked && x.size === y.size)];
  const step = lined.reduce((most, x) => Math.max(most, rowStep(x, rows)), 1);
  const rowBytes = (y.size / rows) * 4;
  const fitting = Math.floor(y.storage.device.largestBindingBytes / rowBytes / step) * step;
  const most = Math.max(step, Math.min(fitting, Math.ceil(rows / 2 / step) * step));
  check(
    op,
    most < rows,
    () =>
      `[${y.shape}] ${y.dtype} must divide into parts of at most ${y.storage.device.largestBindingBytes} bytes that begin at whole bindings, got rows of ${rowBytes} bytes. Use an adapter with larger bindings.`,
  );
  return runsOf(rows, most);
}

/** What an operand contributes to a run of the output's axis: a part of its own axis, or all of it where it is repeated. */
function alongRun(x: Tensor, target: Shape, { axis, run }: { readonly axis: number; readonly run: Run }): Tensor {
  const lined = x.isPacked && x.size === sizeOf(target) ? x.view(target) : x;
  const own = axis - (target.length - lined.rank);
  if (own < 0 || lined.shape[own] === 1) return lined;
  const shape = lined.shape.map((side, i) => (i === own ? run[1] - run[0] : side));
  const cut = lined.view(shape, lined.strides, lined.offset + run[0] * lined.strides[own]!);
  return part(cut);
}

interface Mapping {
  readonly expression: string;
  readonly scalars: readonly number[];
  readonly accumulate: boolean;
}

/** The same for tensors that can all be bound. */
function mapWhole(op: string, y: Tensor, inputs: readonly Tensor[], mapping: Mapping): void {
  const { expression, scalars, accumulate } = mapping;
  const count = y.size;
  const operands = inputs.map((tensor) => operandOf(op, tensor, y.shape));
  const walk = walkOf(operands, y.shape);
  const modeOf = ({ mode }: Operand): OperandMode =>
    mode === 'strided' && walk.sides.at(-1)! % 4 === 0 ? 'strided4' : mode;
  const spec = {
    expression,
    operands: operands.map((operand) => `${modeOf(operand)}:${storageOf(operand.tensor)}`).join(','),
    result: storageOf(y),
    accumulate,
    rank: walk.sides.length <= fewAxes ? fewAxes : maxRank,
  };
  const tensors: Record<string, Tensor> = {};
  operands.forEach(({ tensor }, i) => (tensors[`${names[i]}_data`] = tensor));
  tensors['y_data'] = y;
  launch(elementwiseKernel, {
    spec,
    tensors,
    uniforms: {
      count,
      s0: scalars[0] ?? 0,
      s1: scalars[1] ?? 0,
      ...sideUniforms(walk.sides),
      ...operandUniforms(operands, walk),
    },
    grid: foldGrid(Math.ceil(count / elementsPerGroup(spec))),
  });
}

function operandOf(op: string, tensor: Tensor, shape: Shape): Operand {
  if (tensor.isPacked) {
    if (sameShape(tensor.shape, shape)) return { tensor, mode: 'full', period: 1 };
    const count = tensor.size;
    if (sizeOf(shape) === count) return { tensor, mode: 'full', period: 1 };
    if (count === 1) return repeated(tensor, sizeOf(shape));
    if (isTrailing(tensor.shape, shape)) return { tensor, mode: 'period', period: count };
    if (isLeading(tensor.shape, shape)) return repeated(tensor, sizeOf(shape) / count);
  }
  check(
    op,
    shape.length <= maxRank,
    () => `operands that need strides must have at most ${maxRank} axes, got [${shape}]. Reshape them.`,
  );
  return { tensor, mode: 'strided', period: 1 };
}

const repeated = (tensor: Tensor, period: number): Operand => ({
  tensor,
  mode: period % 4 === 0 ? 'repeat4' : 'repeat',
  period,
});

/** True if the shape is the end of the target, after leading ones. */
function isTrailing(shape: Shape, target: Shape): boolean {
  const first = shape.findIndex((side) => side !== 1);
  const core = first < 0 ? [] : shape.slice(first);
  return core.every((side, i) => side === target[target.length - core.length + i]);
}

/** True if the shape is the start of the target, then ones. */
function isLeading(shape: Shape, target: Shape): boolean {
  if (shape.length !== target.length) return false;
  const ones = shape.length - 1 - shape.findLastIndex((side) => side !== 1);
  return shape.slice(0, shape.length - ones).every((side, i) => side === target[i]);
}

/** Axes of the shorter of the two kernels for strided operands. */
const fewAxes = 3;

/** The output's axes as strided operands need them: sides, and for each operand its strides. */
interface Walk {
  readonly sides: readonly number[];
  readonly strides: ReadonlyMap<Operand, readonly number[]>;
}

/** Joins neighbouring axes along which every strided operand goes on as it would along one. */
function walkOf(operands: readonly Operand[], shape: Shape): Walk {
  const strided = operands.filter(({ mode }) => mode === 'strided');
  const own = strided.map(({ tensor }) => strideAlong(tensor, shape));
  const axes: { side: number; strides: number[] }[] = [];
  shape.forEach((side, axis) => {
    if (side === 1) return;
    const strides = own.map((all) => all[axis]!);
    const before = axes.at(-1);
    const goesOn = before?.strides.every((stride, i) => stride === strides[i]! * side);
    if (before && goesOn) axes[axes.length - 1] = { side: before.side * side, strides };
    else axes.push({ side, strides });
  });
  if (!axes.length) axes.push({ side: 1, strides: own.map(() => 0) });
  return {
    sides: axes.map(({ side }) => side),
    strides: new Map(strided.map((operand, i) => [operand, axes.map(({ strides }) => strides[i]!)])),
  };
}

/** Values of the walk's axes, right-aligned in the kernel's fixed rank. */
const aligned = (values: readonly number[], missing: number): number[] => [
  ...new Array<number>(maxRank - values.length).fill(missing),
  ...values,
];

/** A packed output without strided operands may have more axes than the kernel knows; it does not look at them. */
const sideUniforms = (sides: readonly number[]): Record<string, number> =>
  Object.fromEntries(aligned(sides.slice(-maxRank), 1).map((side, k) => [`side${k}`, side]));

function operandUniforms(operands: readonly Operand[], walk: Walk): Record<string, number> {
  const uniforms: Record<string, number> = {};
  names.forEach((name, i) => {
    const operand = operands[i];
    uniforms[`${name}_period`] = operand?.period ?? 1;
    uniforms[`${name}_last`] = operand ? Math.max(0, operand.tensor.size - 1) : 0;
    uniforms[`${name}_offset`] = operand?.tensor.offset ?? 0;
    const strides = (operand && walk.strides.get(operand)) ?? [];
    aligned(strides, 0).forEach((stride, k) => (uniforms[`${name}_stride${k}`] = stride));
  });
  return uniforms;
}

/** Strides of a tensor along the output's axes, 0 where it is repeated. */
const strideAlong = (tensor: Tensor, shape: Shape): number[] =>
  shape.map((_, k) => {
    const axis = k - (shape.length - tensor.rank);
    return axis >= 0 && tensor.shape[axis] !== 1 ? tensor.strides[axis]! : 0;
  });

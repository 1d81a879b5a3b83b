import { type DType, storageType } from '../dtype.ts';
import { check } from '../errors.ts';
import { elementsPerGroup, elementwiseKernel, type OperandMode } from '../kernels/elementwise.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { broadcastShapes, sameShape, type Shape, sizeOf } from '../shape.ts';
import { empty, Tensor } from '../tensor.ts';
import { launch } from './launch.ts';

const maxRank = 6;
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
  mapInto(op, y, inputs, expression, options.scalars);
  return y;
}

/** Writes expression(a, b, c, d) into a packed tensor. */
export function mapInto(
  op: string,
  y: Tensor,
  inputs: readonly Tensor[],
  expression: string,
  scalars: readonly number[] = [],
): void {
  const count = y.size;
  if (count === 0) return;
  const operands = inputs.map((tensor) => operandOf(op, tensor, y.shape));
  const spec = {
    expression,
    operands: operands.map(({ mode, tensor }) => `${mode}:${storageType[tensor.dtype]}`).join(','),
    result: storageType[y.dtype],
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
      ...sides(y.shape),
      ...operandUniforms(operands, y.shape),
    },
    grid: foldGrid(Math.ceil(count / elementsPerGroup(spec))),
  });
}

function operandOf(op: string, tensor: Tensor, shape: Shape): Operand {
  if (tensor.isPacked) {
    if (sameShape(tensor.shape, shape)) return { tensor, mode: 'full', period: 1 };
    const count = tensor.size;
    if (sizeOf(shape) === count) return { tensor, mode: 'full', period: 1 };
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

/** Output sides, right-aligned in the kernel's fixed rank. */
function sides(shape: Shape): Record<string, number> {
  const padded = [...new Array<number>(Math.max(0, maxRank - shape.length)).fill(1), ...shape].slice(-maxRank);
  return Object.fromEntries(padded.map((side, k) => [`side${k}`, side]));
}

function operandUniforms(operands: readonly Operand[], shape: Shape): Record<string, number> {
  const uniforms: Record<string, number> = {};
  names.forEach((name, i) => {
    const operand = operands[i];
    const strides =
      operand?.mode === 'strided' ? broadcastStrides(operand.tensor, shape) : new Array<number>(maxRank).fill(0);
    uniforms[`${name}_period`] = operand?.period ?? 1;
    uniforms[`${name}_last`] = operand ? Math.max(0, operand.tensor.size - 1) : 0;
    uniforms[`${name}_offset`] = operand?.tensor.offset ?? 0;
    strides.forEach((stride, k) => (uniforms[`${name}_stride${k}`] = stride));
  });
  return uniforms;
}

/** Strides along the output's axes, 0 where the operand is repeated, right-aligned in the fixed rank. */
function broadcastStrides(tensor: Tensor, shape: Shape): number[] {
  const lead = maxRank - shape.length;
  return Array.from({ length: maxRank }, (_, k) => {
    const axis = k - lead - (shape.length - tensor.rank);
    return axis >= 0 && tensor.shape[axis] !== 1 ? tensor.strides[axis]! : 0;
  });
}

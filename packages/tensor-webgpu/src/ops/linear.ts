import { noGrad, record, wantsGrad } from '../autograd/record.ts';
import type { DType } from '../dtype.ts';
import { check } from '../errors.ts';
import type { Activation } from '../kernels/gemm/spec.ts';
import { isContiguous, sameShape, sizeOf } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { activationRules } from './activations.ts';
import { cast } from './cast.ts';
import { gemm } from './gemm.ts';
import { map } from './map.ts';
import { bindable, rowRuns, type Run } from './parts.ts';
import { toOperand } from './precision.ts';
import { sum, sumTo } from './reduce.ts';
import { concat, contiguous, reshape, slice } from './view.ts';

/** What a linear layer does to its sums before it stores them: y = residual + gate * activation(x W^T + bias). */
export interface LinearFinish {
  readonly activation?: Activation;
  /** [B, ..., O], of fewer rows than x: each serves a run of neighbouring rows, as a modulation serves the tokens of its picture. */
  readonly gate?: Tensor;
  /** Of y's shape; y takes its type, so that a stream of f32 stays f32 where products are of halves. */
  readonly residual?: Tensor;
}

/** The matrix itself where its elements lie row-major from any offset, as slices of stacked weights do; else a packed copy. */
const rowMajor = (weight: Tensor): Tensor => (isContiguous(weight.shape, weight.strides) ? weight : contiguous(weight));

/** x W^T + bias, finished in the same pass where asked. x: [..., I], weight: [O, I], bias: [O] -> [..., O]. */
export function linear(input: Tensor, matrix: Tensor, shift?: Tensor, finish: LinearFinish = {}): Tensor {
  const [O, I] = matrix.shape as [number, number];
  check(
    'linear',
    matrix.rank === 2 && input.shape.at(-1) === I,
    () => `input must end in ${I} for weight [${matrix.shape}], got [${input.shape}].`,
  );
  // gradients go straight to what was given, in its type: copies and casts on the way in are not recorded
  const { rows, weight } = noGrad(() => ({ rows: contiguous(toOperand(input)), weight: rowMajor(toOperand(matrix)) }));
  const runs = rowRuns('linear', O, [bindable(weight)]);
  if (runs.length > 1)
    return concat(
      runs.map((run) =>
        linear(input, slice(matrix, 0, ...run), shift && contiguous(slice(shift, 0, ...run)), cutFinish(finish, run)),
      ),
      -1,
    );
  const dtype = finish.residual?.dtype ?? rows.dtype;
  const bias = shift && cast(shift, dtype);
  const shape = [...input.shape.slice(0, -1), O];
  const extras = finishOperands(finish, shape, dtype);
  const M = rows.size / I;
  const y = empty(shape, dtype, rows.storage.device);
  const operands = { rows, weight, input, matrix, bias };
  const inputs = bias ? [input, matrix, bias] : [input, matrix];
  const { activation = 'none' } = finish;
  const bends = activation !== 'none' || extras.gate !== undefined;
  const z =
    bends && [...inputs, extras.gate].some((t) => t && wantsGrad(t))
      ? empty(shape, dtype, rows.storage.device)
      : undefined;
  const product = { a: rows, b: bindable(weight), M, N: O, K: I, transposeB: true } as const;
  gemm({ ...product, c: y, bias, activation, ...extras, keep: z });
  if (!bends) return recordLinear(y, operands, extras.residual);
  if (z) recordFinish(y, recordLinear(z, operands), activation, extras);
  else if (extras.residual) record('linear finish', y, [extras.residual], (dy) => [dy]);
  return y;
}

/** What a run of outputs is finished with. */
const cutFinish = ({ activation, gate, residual }: LinearFinish, run: Run): LinearFinish => ({
  ...(activation && { activation }),
  ...(gate && { gate: slice(gate, -1, ...run) }),
  ...(residual && { residual: slice(residual, -1, ...run) }),
});

interface FinishOperands {
  readonly gate?: Tensor;
  readonly gateRows?: number;
  readonly residual?: Tensor;
}

/** Gate and residual, packed, in the result's type. */
function finishOperands({ gate, residual }: LinearFinish, shape: readonly number[], dtype: DType): FinishOperands {
  const M = sizeOf(shape.slice(0, -1));
  const gates = gate ? gate.size / shape.at(-1)! : 1;
  check(
    'linear',
    !gate || (gate.shape.at(-1) === shape.at(-1) && M % gates === 0),
    () => `gate must end in ${shape.at(-1)} and have a divisor of ${M} rows, got [${gate!.shape}].`,
  );
  check(
    'linear',
    !residual || sameShape(residual.shape, shape),
    () => `residual must have the result's shape [${shape}], got [${residual!.shape}].`,
  );
  return {
    ...(gate && { gate: contiguous(cast(gate, dtype)), gateRows: M / gates }),
    ...(residual && { residual: contiguous(residual) }),
  };
}

interface Recorded {
  /** What was multiplied. */
  readonly rows: Tensor;
  readonly weight: Tensor;
  /** What they came from, and where their gradients go. */
  readonly input: Tensor;
  readonly matrix: Tensor;
  readonly bias: Tensor | undefined;
}

/** Notes y = x W^T + bias (+ residual): dx = dy W, dW = dy^T x, db = sum of dy over rows, dresidual = dy. */
function recordLinear(y: Tensor, { rows, weight, input, matrix, bias }: Recorded, residual?: Tensor): Tensor {
  const [O, I] = weight.shape as [number, number];
  const M = rows.size / I;
  const inputs = [input, matrix, ...(bias ? [bias] : []), ...(residual ? [residual] : [])];
  return record('linear', y, inputs, (dy, sofar) => {
    const dyRows = reshape(cast(dy, rows.dtype), [M, O]);
    const dx = wantsGrad(input) ? reshape(rowsTimes(dyRows, weight, input.dtype), input.shape) : null;
    const dWeight = wantsGrad(matrix) ? rowsProduct(dyRows, reshape(rows, [M, I]), sofar(1) ?? matrix.dtype) : null;
    return [dx, dWeight, ...(bias ? [sumTo(dyRows, [O])] : []), ...(residual ? [dy] : [])];
  });
}

/** dy^T x, added to a sum or as a new tensor of a type. dy: [M, O], x: [M, I] -> [O, I]. */
export function rowsProduct(dy: Tensor, x: Tensor, onto: Tensor | DType): Tensor {
  const [K, M] = dy.shape as [number, number];
  const N = x.shape[1]!;
  const accumulate = typeof onto !== 'string';
  const c = accumulate ? onto : empty([M, N], onto, dy.storage.device);
  gemm({ a: dy, b: x, c, M, N, K, transposeA: true, accumulate });
  return c;
}

/** Notes y = residual + gate * f(z): dz = dy gate f'(z), dgate = sum over its rows of dy f(z), dresidual = dy. */
function recordFinish(y: Tensor, z: Tensor, activation: Activation, { gate, residual }: FinishOperands): void {
  const { forward, backward } = activation === 'none' ? { forward: 'a', backward: 'a' } : activationRules[activation];
  const O = y.shape.at(-1)!;
  const inputs = [z, ...(gate ? [gate] : []), ...(residual ? [residual] : [])];
  record('linear finish', y, inputs, (dy) => {
    const groups = gate ? gate.size / O : 1;
    const [upstream, sums] = [dy, z].map((t) => reshape(t, [groups, y.size / O / groups, O])) as [Tensor, Tensor];
    const gated = gate && reshape(gate, [groups, 1, O]);
    const dz = map(
      'linear finish',
      [upstream, sums, ...(gated ? [gated] : [])],
      gated ? `(${backward}) * c` : backward,
    );
    const dgate = gate && wantsGrad(gate) ? gateGradient(upstream, sums, forward) : null;
    return [reshape(dz, z.shape), ...(gate ? [dgate && reshape(dgate, gate.shape)] : []), ...(residual ? [dy] : [])];
  });
}

/** dgate = sum over the rows that a gate serves of dy f(z). */
const gateGradient = (dy: Tensor, z: Tensor, forward: string): Tensor =>
  sum(map('linear finish', [dy, z], `a * (${forward.replace(/\ba\b/g, 'b')})`), { axis: 1 });

/** dy W for a row-major weight at any offset. dy: [M, O], weight: [O, I] -> [M, I]. */
function rowsTimes(dy: Tensor, weight: Tensor, dtype: DType): Tensor {
  const [M, O] = dy.shape as [number, number];
  const I = weight.shape[1]!;
  const dx = empty([M, I], dtype, dy.storage.device);
  gemm({ a: dy, b: rowMajor(weight), c: dx, M, N: I, K: O });
  return dx;
}

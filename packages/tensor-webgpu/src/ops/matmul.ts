import { record } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { broadcastShapes, isContiguous, type Shape, sizeOf } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { gemm } from './gemm.ts';
import { toOperand } from './precision.ts';
import { sumTo } from './reduce.ts';
import { expand } from './expand.ts';
import { contiguous, reshape, transpose } from './view.ts';

export { sharedLanes } from './gemm-plan.ts';

export interface MatmulOptions {
  /** The first operand is stored [..., K, M]. */
  readonly transposeA?: boolean;
  /** The second operand is stored [..., N, K]. */
  readonly transposeB?: boolean;
}

/** Batched matrix product. a: [..., M, K], b: [..., K, N] -> [..., M, N]; leading axes broadcast. */
export function matmul(left: Tensor, right: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  const [a, b] = [toOperand(left), toOperand(right)];
  check(
    'matmul',
    a.rank >= 2 && b.rank >= 2,
    () => `operands must have at least 2 axes, got [${a.shape}] and [${b.shape}]. Reshape them.`,
  );
  check(
    'matmul',
    a.dtype === b.dtype,
    () => `operands must share a dtype, got ${a.dtype} and ${b.dtype}. Cast one of them.`,
  );
  if (transposeA && transposeB) return matmul(a, contiguous(transpose(b)), { transposeA });
  const [M, K] = lastTwo(a.shape, transposeA);
  const [inner, N] = lastTwo(b.shape, transposeB);
  check(
    'matmul',
    K === inner,
    () =>
      `inner sides must agree, got ${K} and ${inner} from [${a.shape}] and [${b.shape}]. Check the transpose options.`,
  );
  const lead = broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [packedA, batchA] = batched(a, lead);
  const [packedB, batchB] = batched(b, lead);
  const c = empty([...lead, M, N], a.dtype, a.storage.device);
  gemm({
    a: packedA,
    b: packedB,
    c,
    M,
    N,
    K,
    batch: sizeOf(lead),
    batchA,
    batchB,
    transposeA,
    transposeB,
  });
  // C = A B: dA = dC B^T, dB = A^T dC; with stored transposes, operands swap places.
  return record('matmul', c, [a, b], (dc) => [
    sumTo(
      transposeA
        ? matmul(b, dc, { transposeA: transposeB, transposeB: true })
        : matmul(dc, b, { transposeB: !transposeB }),
      a.shape,
    ),
    sumTo(
      transposeB
        ? matmul(dc, a, { transposeA: true, transposeB: transposeA })
        : matmul(a, dc, { transposeA: !transposeA }),
      b.shape,
    ),
  ]);
}

/** Rows and columns of a stored matrix as the product sees it. */
function lastTwo(shape: Shape, transposed: boolean): [number, number] {
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}

/** A packed operand and its batch step: 0 where one matrix serves all. */
function batched(x: Tensor, lead: Shape): [Tensor, number] {
  const matrix = x.shape.at(-2)! * x.shape.at(-1)!;
  if (x.size === matrix) return [contiguous(x), 0];
  return [contiguous(expand(x, [...lead, x.shape.at(-2)!, x.shape.at(-1)!])), matrix];
}

/** The matrix itself where its elements lie row-major from any offset, as slices of stacked weights do; else a packed copy. */
const rowMajor = (weight: Tensor): Tensor => (isContiguous(weight.shape, weight.strides) ? weight : contiguous(weight));

/** x W^T + bias. x: [..., I], weight: [O, I], bias: [O] -> [..., O]. */
export function linear(input: Tensor, matrix: Tensor, shift?: Tensor): Tensor {
  const [x, weight] = [toOperand(input), toOperand(matrix)];
  const bias = shift && toOperand(shift);
  const [O, I] = weight.shape as [number, number];
  check(
    'linear',
    weight.rank === 2 && x.shape.at(-1) === I,
    () => `input must end in ${I} for weight [${weight.shape}], got [${x.shape}].`,
  );
  const M = x.size / I;
  const rows = contiguous(x);
  const y = empty([...x.shape.slice(0, -1), O], x.dtype, x.storage.device);
  gemm({ a: rows, b: rowMajor(weight), c: y, bias, M, N: O, K: I, transposeB: true });
  const inputs = bias ? [rows, weight, bias] : [rows, weight];
  // dx = dy W, dW = dy^T x, db = sum of dy over rows
  return record('linear', y, inputs, (dy) => {
    const dyRows = reshape(dy, [M, O]);
    const dx = rows.requiresGrad || rows.node ? reshape(rowsTimes(dyRows, weight), x.shape) : null;
    const dWeight = matmul(dyRows, reshape(rows, [M, I]), { transposeA: true });
    return bias ? [dx, dWeight, sumTo(dyRows, [O])] : [dx, dWeight];
  });
}

/** dy W for a row-major weight at any offset. dy: [M, O], weight: [O, I] -> [M, I]. */
function rowsTimes(dy: Tensor, weight: Tensor): Tensor {
  const [M, O] = dy.shape as [number, number];
  const I = weight.shape[1]!;
  const dx = empty([M, I], dy.dtype, dy.storage.device);
  gemm({ a: dy, b: rowMajor(weight), c: dx, M, N: I, K: O });
  return dx;
}

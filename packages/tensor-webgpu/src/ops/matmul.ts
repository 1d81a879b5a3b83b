import { record, wantsGrad } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { broadcastShapes, type Shape, sizeOf } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { gemm } from './gemm.ts';
import { toOperand } from './precision.ts';
import { sumTo } from './reduce.ts';
import { expand } from './expand.ts';
import { contiguous, transpose } from './view.ts';

export { sharedLanes } from './gemm-plan.ts';

/** How `matmul` reads its operands. */
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
    wantsGrad(a) ? sumTo(gradientOfLeft(dc, b, options), a.shape) : null,
    wantsGrad(b) ? sumTo(gradientOfRight(dc, a, options), b.shape) : null,
  ]);
}

const gradientOfLeft = (dc: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatmulOptions): Tensor =>
  transposeA ? matmul(b, dc, { transposeA: transposeB, transposeB: true }) : matmul(dc, b, { transposeB: !transposeB });

const gradientOfRight = (dc: Tensor, a: Tensor, { transposeA = false, transposeB = false }: MatmulOptions): Tensor =>
  transposeB ? matmul(dc, a, { transposeA: true, transposeB: transposeA }) : matmul(a, dc, { transposeA: !transposeA });

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

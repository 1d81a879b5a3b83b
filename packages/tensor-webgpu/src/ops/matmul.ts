import { record } from '../autograd/record.ts';
import type { Device } from '../device/device.ts';
import { floatType } from '../dtype.ts';
import { check } from '../errors.ts';
import { type Activation, gemmKernel, type GemmSpec, tileOf, windowUniforms } from '../kernels/gemm.wgsl.ts';
import { broadcastShapes, isContiguous, type Shape, sizeOf } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { launch } from './launch.ts';
import { toOperand } from './precision.ts';
import { sumTo } from './reduce.ts';
import { expand } from './expand.ts';
import { contiguous, reshape, transpose } from './view.ts';

/** Run-time numbers of a convolution's window. */
export type WindowUniforms = Readonly<Record<keyof typeof windowUniforms, number>>;

/** One batched product on packed operands. */
export interface Gemm {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly c: Tensor;
  readonly bias?: Tensor | undefined;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly batch?: number;
  /** Elements between batches; 0 shares one matrix. */
  readonly batchA?: number;
  readonly batchB?: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly activation?: Activation;
  readonly window?: {
    readonly kind: 'forward' | 'input' | 'weight';
    readonly uniforms: Readonly<Record<keyof typeof windowUniforms, number>>;
  };
}

const noWindow = Object.fromEntries(Object.keys(windowUniforms).map((name) => [name, 0]));

/** The widest subgroup for which the shared tile is compiled. */
const widestShared = 8;

/** Lanes that share a tile on this device, or 0 for the plain kernel. */
export function sharedLanes(device: Device): number {
  const { subgroupSize } = device.profile;
  return !device.plainKernels && subgroupSize >= 4 && subgroupSize <= widestShared ? subgroupSize : 0;
}

/** Multiply-adds below which every product takes the same small tile: another one costs more to compile than it saves. */
const smallProduct = 2 ** 26;

/** Time of a tile by the columns that a lane owns, relative to four; measured on lavapipe. */
const tileTimes: readonly number[] = [0.56, 0.83, 0.95, 1];

/** Columns of a lane that cover N in the least time. */
function columnsFor(lanes: number, N: number): number {
  const times = tileTimes.map((time, i) => time * Math.ceil(N / (lanes * (i + 1))));
  return times.lastIndexOf(Math.min(...times)) + 1;
}

type Tile = Pick<GemmSpec, 'rows' | 'columns'>;

/** The tile of a product: narrow ones are taller, which keeps loads of A and B in balance; with A [K, M] registers run out sooner. */
function tileFor(lanes: number, { M, N, K, transposeA }: Pick<Gemm, 'M' | 'N' | 'K' | 'transposeA'>): Tile {
  if (lanes === 0 || M * N * K < smallProduct) return { rows: 2 * lanes, columns: 4 };
  const columns = columnsFor(lanes, N);
  const height = columns < 3 ? 4 : transposeA ? 6 - columns : 7 - columns;
  return { rows: height * lanes, columns };
}

/** True if rows of N divide into vectors of that many; WGSL packs no vectors of three. */
const isWhole = (N: number, columns: number): boolean => columns !== 3 && N % columns === 0;

/** Pairs of B pay only where A is [M, K]; with A [K, M] lavapipe reads them faster one by one. */
const loadsWhole = ({ N, columns, transposeA }: { N: number; columns: number; transposeA: boolean }): boolean =>
  isWhole(N, columns) && !(columns === 2 && transposeA);

/** Runs one product: C = activation(A B + bias). */
export function gemm({ a, b, c, bias, M, N, K, ...rest }: Gemm): void {
  const {
    batch = 1,
    batchA = 0,
    batchB = 0,
    transposeA = false,
    transposeB = false,
    activation = 'none',
    window,
  } = rest;
  const lanes = sharedLanes(c.storage.device);
  const vectorA = (transposeA ? M : K) % 4 === 0 && batchA % 4 === 0;
  const { rows, columns } = tileFor(lanes, { M, N, K: window ? K : K * batch, transposeA });
  const spec: GemmSpec = {
    lanes,
    rows,
    columns,
    transposeA,
    transposeB,
    vectorA: window ? window.uniforms.channels % 4 === 0 : vectorA,
    vectorB:
      (transposeB ? K % 4 === 0 : loadsWhole({ N, columns, transposeA })) && batchB % 4 === 0 && b.offset % 4 === 0,
    vectorC: isWhole(N, columns),
    type: floatType(c.dtype),
    bias: bias !== undefined,
    activation,
    window: window?.kind ?? 'none',
  };
  const tile = tileOf(spec);
  launch(gemmKernel, {
    spec,
    tensors: { a_data: a, b_data: b, c_data: c, ...(bias && { bias }) },
    uniforms: { M, N, K, batchA, batchB, offsetB: b.offset, ...(window?.uniforms ?? noWindow) },
    grid: [Math.ceil(N / tile.columns), Math.ceil(M / tile.rows), batch],
  });
}

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

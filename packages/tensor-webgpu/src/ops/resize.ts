import { record } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { upsampleKernel } from '../kernels/upsample.wgsl.ts';
import { empty, type Tensor, tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { floatStorageOf, launch } from './launch.ts';
import { matmul } from './matmul.ts';
import { rowRuns, rowsPart } from './parts.ts';
import { contiguous, reshape } from './view.ts';

/** Repeats every pixel factor x factor times. x: [B, H, W, C], C a multiple of 4 -> [B, factor H, factor W, C]. */
export function upsampleNearest(x: Tensor, factor = 2): Tensor {
  check(
    'upsampleNearest',
    x.rank === 4 && x.shape[3]! % 4 === 0,
    () => `input must be [B, H, W, C] with C a multiple of 4, got [${x.shape}].`,
  );
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const y = upsample(contiguous(x), [B, H * factor, W * factor, C], 'forward', factor);
  return record('upsampleNearest', y, [x], (dy) => [upsample(contiguous(dy), x.shape, 'backward', factor)]);
}

function upsample(x: Tensor, shape: readonly number[], direction: 'forward' | 'backward', factor: number): Tensor {
  const y = empty(shape, x.dtype, x.storage.device);
  const lines = Math.min(x.shape[0]! * x.shape[1]!, shape[0]! * shape[1]!);
  for (const run of rowRuns('upsampleNearest', lines, [x, y])) {
    const target = rowsPart(y, lines, run);
    const count = target.size / 4;
    launch(upsampleKernel, {
      spec: { type: floatStorageOf(x), direction },
      tensors: { x: rowsPart(x, lines, run), y: target },
      uniforms: { count, width: shape[2]!, vectors: shape[3]! / 4, factor },
      grid: foldGrid(Math.ceil(count / 64)),
    });
  }
  return y;
}

type Side = readonly [height: number, width: number];

/** Adaptive average pooling: each output averages the inputs it covers. x: [B, H, W, C] -> [B, h, w, C]. */
export const resizeArea = (x: Tensor, side: Side): Tensor => resize('resizeArea', x, side, areaMatrix);

/** Cubic convolution with a = -0.75, half-pixel centres and clamped borders, as PyTorch's bicubic interpolate. x: [B, H, W, C] -> [B, h, w, C]. */
export const resizeBicubic = (x: Tensor, side: Side): Tensor => resize('resizeBicubic', x, side, bicubicMatrix);

/** Linear between the two nearest pixels, with half-pixel centres, as PyTorch's bilinear interpolate without antialiasing. x: [B, H, W, C] -> [B, h, w, C]. */
export const resizeBilinear = (x: Tensor, side: Side): Tensor => resize('resizeBilinear', x, side, bilinearMatrix);

/** A separable resize is two products with constant matrices, one an axis, so that its gradient comes with matmul. */
function resize(op: string, x: Tensor, [h, w]: Side, matrix: (from: number, to: number) => Float32Array): Tensor {
  check(
    op,
    x.rank === 4 && h > 0 && w > 0,
    () => `input must be [B, H, W, C] and the side positive, got [${x.shape}] to ${h}x${w}.`,
  );
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const rows = H === h ? x : reshape(matmul(weights(x, matrix, H, h), reshape(x, [B, H, W * C])), [B, h, W, C]);
  if (W === w) return rows;
  return reshape(matmul(weights(x, matrix, W, w), reshape(rows, [B * h, W, C])), [B, h, w, C]);
}

const weights = (x: Tensor, matrix: (from: number, to: number) => Float32Array, from: number, to: number): Tensor =>
  cast(tensor(matrix(from, to), [to, from], { device: x.storage.device }), x.dtype);

/** Row-major [to, from] matrix filled by (row, add(column, weight)). */
function fillMatrix(
  from: number,
  to: number,
  row: (i: number, add: (column: number, weight: number) => void) => void,
): Float32Array {
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) row(i, (column, weight) => (matrix[i * from + column]! += weight));
  return matrix;
}

/** Rows of averages over floor(i from/to) .. ceil((i+1) from/to) - 1. */
function areaMatrix(from: number, to: number): Float32Array {
  return fillMatrix(from, to, (i, add) => {
    const first = Math.floor((i * from) / to);
    const last = Math.ceil(((i + 1) * from) / to);
    for (let column = first; column < last; column++) add(column, 1 / (last - first));
  });
}

/** Rows of two linear weights around the half-pixel centre; beyond the border the border counts. */
function bilinearMatrix(from: number, to: number): Float32Array {
  return fillMatrix(from, to, (i, add) => {
    const centre = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const left = Math.min(from - 1, Math.floor(centre));
    const t = Math.min(1, centre - left);
    add(left, 1 - t);
    add(Math.min(from - 1, left + 1), t);
  });
}

const cubic = -0.75;
/** Keys' kernel for distances up to 1, and from 1 to 2. */
const near = (t: number): number => ((cubic + 2) * t - (cubic + 3)) * t * t + 1;
const far = (t: number): number => ((cubic * t - 5 * cubic) * t + 8 * cubic) * t - 4 * cubic;

/** Rows of four cubic weights around the half-pixel centre; columns beyond the border count for the border. */
function bicubicMatrix(from: number, to: number): Float32Array {
  return fillMatrix(from, to, (i, add) => {
    const centre = ((i + 0.5) * from) / to - 0.5;
    const left = Math.floor(centre);
    const t = centre - left;
    [far(t + 1), near(t), near(1 - t), far(2 - t)].forEach((weight, k) =>
      add(Math.min(from - 1, Math.max(0, left - 1 + k)), weight),
    );
  });
}

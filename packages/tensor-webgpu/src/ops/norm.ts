import { record } from '../autograd/record.ts';
import type { Device } from '../device/device.ts';
import { check } from '../errors.ts';
import { type RowNorm, rowNormInputKernel, rowNormKernel, type RowPieces } from '../kernels/row-norm.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { rowsOf } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { add, div, maximum, mul, sqrt, square, sub } from './elementwise.ts';
import { floatStorageOf, launch } from './launch.ts';
import { rowRuns, rowsPart } from './parts.ts';
import { mean, sum } from './reduce.ts';
import { contiguous } from './view.ts';

/** What `layerNorm` scales and shifts by, [C] each. */
export interface LayerNormOptions {
  /** Added to the variance. */
  readonly eps: number;
  /** Factor of each column, [C]; 1 if not given. */
  readonly weight?: Tensor;
  /** Summand of each column, [C]; 0 if not given. */
  readonly bias?: Tensor;
}

/** (x - mean) / sqrt(variance + eps) over the last axis, then scale and shift where given. x: [..., C] -> [..., C]. */
export function layerNorm(x: Tensor, { eps, weight, bias }: LayerNormOptions): Tensor {
  check('layerNorm', x.rank > 0, () => 'input must have at least one axis, got a scalar.');
  const y = x.shape.at(-1)! % 4 === 0 ? rowNorm('layer', x, eps) : layerNormByParts(x, eps);
  const scaled = weight ? mul(y, weight) : y;
  return bias ? add(scaled, bias) : scaled;
}

/** What `rmsNorm` scales by, [C]. */
export interface RmsNormOptions {
  /** Added to the mean square. */
  readonly eps: number;
  /** Factor of each column, [C]; 1 if not given. */
  readonly weight?: Tensor;
}

/** x / sqrt(mean(x^2) + eps) over the last axis, then scale where given (Zhang and Sennrich, 2019). x: [..., C], weight: [C] -> [..., C]. */
export function rmsNorm(x: Tensor, { eps, weight }: RmsNormOptions): Tensor {
  check('rmsNorm', x.rank > 0, () => 'input must have at least one axis, got a scalar.');
  const y = x.shape.at(-1)! % 4 === 0 ? rowNorm('rms', x, eps) : rmsNormByParts(x, eps);
  return weight ? mul(y, weight) : y;
}

/** x / max(|x|, eps) over the last axis, as PyTorch's normalize. x: [..., C] -> [..., C]. */
export function l2Normalize(x: Tensor, { eps = 1e-12 }: { readonly eps?: number } = {}): Tensor {
  if (x.shape.at(-1)! % 4 === 0) return rowNorm('l2', x, eps);
  return div(x, maximum(sqrt(sum(square(x), { axis: -1, keepDim: true })), eps));
}

/** For widths that are no multiple of 4: composed of smaller ops. */
function layerNormByParts(x: Tensor, eps: number): Tensor {
  const centred = sub(x, mean(x, { axis: -1, keepDim: true }));
  return div(centred, sqrt(add(mean(square(centred), { axis: -1, keepDim: true }), eps)));
}

const rmsNormByParts = (x: Tensor, eps: number): Tensor =>
  div(x, sqrt(add(mean(square(x), { axis: -1, keepDim: true }), eps)));

/** Vectors of a row that a lane keeps in registers: more of them would spill, and take long to compile. */
const mostPieces = 16;
/** Rows that a subgroup walks on a software adapter, where starting a workgroup costs about as much as a row; a GPU wants many small ones. */
const stripRows = 4;
/** Invocations of a workgroup where each owns a row. */
const plainGroup = 32;

/** Whole subgroups share rows; where there are none, each invocation walks a row of its own. */
function lanesFor({ profile, plainKernels }: Device, vectors: number): RowPieces {
  const subgroup = plainKernels ? 0 : profile.subgroupSize;
  if (subgroup < 2) return { group: plainGroup, lanes: 1, shuffles: false, pieces: 0 };
  let lanes = subgroup;
  while (lanes > 1 && lanes > vectors) lanes /= 2;
  const pieces = vectors / lanes;
  return {
    group: subgroup,
    lanes,
    shuffles: true,
    pieces: Number.isInteger(pieces) && pieces <= mostPieces ? pieces : 0,
  };
}

function rowNorm(norm: RowNorm, x: Tensor, eps: number): Tensor {
  const { R, C } = rowsOf(x.shape);
  const spec = { norm, type: floatStorageOf(x), ...lanesFor(x.storage.device, C / 4) } as const;
  const strip = x.storage.device.profile.isCpu && spec.shuffles ? stripRows : 1;
  const over = (rows: number): { uniforms: Record<string, number>; grid: readonly [number, number] } => ({
    uniforms: { rows, vectors: C / 4, strip, eps },
    grid: foldGrid(Math.ceil((Math.ceil(rows / strip) * spec.lanes) / spec.group)),
  });
  const [y, factor] = [empty(x.shape, x.dtype, x.storage.device), empty([R], 'f32', x.storage.device)];
  const source = contiguous(x);
  for (const run of rowRuns(`${norm}Norm`, R, [source, y, factor])) {
    const tensors = { x: rowsPart(source, R, run), y: rowsPart(y, R, run), factor: rowsPart(factor, R, run) };
    launch(rowNormKernel, { spec, tensors, ...over(run[1] - run[0]) });
  }
  return record(`${norm}Norm`, y, [x], (dy) => {
    const dx = empty(x.shape, x.dtype, x.storage.device);
    launch(rowNormInputKernel, { spec, tensors: { y, dy: contiguous(dy), factor, dx }, ...over(R) });
    return [dx];
  });
}

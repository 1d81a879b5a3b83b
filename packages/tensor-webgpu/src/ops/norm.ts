import { record } from '../autograd/record.ts';
import { floatType } from '../dtype.ts';
import { check } from '../errors.ts';
import { type RowNorm, rowNormInputKernel, rowNormKernel, rowsPerGroup } from '../kernels/row-norm.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { rowsOf } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { add, div, maximum, mul, sqrt, square, sub } from './elementwise.ts';
import { launch } from './launch.ts';
import { mean, sum } from './reduce.ts';
import { contiguous } from './view.ts';

export interface LayerNormOptions {
  readonly eps: number;
  readonly weight?: Tensor;
  readonly bias?: Tensor;
}

/** (x - mean) / sqrt(variance + eps) over the last axis, then scale and shift where given. x: [..., C] -> [..., C]. */
export function layerNorm(x: Tensor, { eps, weight, bias }: LayerNormOptions): Tensor {
  check('layerNorm', x.rank > 0, () => 'input must have at least one axis, got a scalar.');
  const y = x.shape.at(-1)! % 4 === 0 ? rowNorm('layer', x, eps) : layerNormByParts(x, eps);
  const scaled = weight ? mul(y, weight) : y;
  return bias ? add(scaled, bias) : scaled;
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

function rowNorm(norm: RowNorm, x: Tensor, eps: number): Tensor {
  const { R, C } = rowsOf(x.shape);
  const spec = { norm, type: floatType(x.dtype) };
  const run = { uniforms: { rows: R, vectors: C / 4, eps }, grid: foldGrid(Math.ceil(R / rowsPerGroup)) };
  const [y, factor] = [empty(x.shape, x.dtype, x.storage.device), empty([R], 'f32', x.storage.device)];
  launch(rowNormKernel, { spec, tensors: { x: contiguous(x), y, factor }, ...run });
  return record(`${norm}Norm`, y, [x], (dy) => {
    const dx = empty(x.shape, x.dtype, x.storage.device);
    launch(rowNormInputKernel, { spec, tensors: { y, dy: contiguous(dy), factor, dx }, ...run });
    return [dx];
  });
}

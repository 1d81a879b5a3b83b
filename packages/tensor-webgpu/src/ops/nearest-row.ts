import { noGrad } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { nearestRowKernel, nearestRowTile } from '../kernels/nearest-row.wgsl.ts';
import { scope } from '../scope.ts';
import { empty, type Tensor } from '../tensor.ts';
import { launch } from './launch.ts';
import { sharedLanes } from './matmul.ts';
import { l2Normalize } from './norm.ts';
import { contiguous, padAxis } from './view.ts';

/** How `nearestRow` measures. */
export interface NearestRowOptions {
  /** Smallest squared distance, or largest cosine. */
  readonly metric?: 'l2' | 'cosine';
}

/** Index of the nearest codebook row, the lowest on a tie. z: f32 [R, C], codebook: f32 [V, C] -> u32 [R]. No gradient. */
export function nearestRow(z: Tensor, codebook: Tensor, { metric = 'l2' }: NearestRowOptions = {}): Tensor {
  const fits = z.rank === 2 && codebook.rank === 2 && z.shape[1] === codebook.shape[1];
  check(
    'nearestRow',
    fits && z.dtype === 'f32' && codebook.dtype === 'f32',
    () =>
      `z must be f32 [R, C] and codebook f32 [V, C], got ${z.dtype} [${z.shape}] and ${codebook.dtype} [${codebook.shape}].`,
  );
  return scope(() =>
    noGrad(() =>
      metric === 'l2' ? search(wholeVectors(z), wholeVectors(codebook)) : search(unitRows(z), unitRows(codebook)),
    ),
  );
}

/** Rows padded with zeros to a multiple of four; distances stay the same. */
const wholeVectors = (x: Tensor): Tensor => contiguous(padAxis(x, 1, 0, -x.shape[1]! & 3));

const unitRows = (x: Tensor): Tensor => l2Normalize(wholeVectors(x), { eps: 1e-12 });

function search(z: Tensor, codebook: Tensor): Tensor {
  const [R, C] = z.shape as [number, number];
  const indices = empty([R], 'u32', z.storage.device);
  const spec = { lanes: sharedLanes(z.storage.device) };
  launch(nearestRowKernel, {
    spec,
    tensors: { z, codebook, indices },
    uniforms: { R, V: codebook.shape[0]!, vectors: C / 4 },
    grid: [Math.ceil(R / nearestRowTile(spec))],
  });
  return indices;
}

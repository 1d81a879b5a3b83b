import { record } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { ropeKernel } from '../kernels/rope.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { sameShape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { floatStorageOf, launch } from './launch.ts';
import { contiguous } from './view.ts';

/**
 * Rotates neighbouring channel pairs (2i, 2i+1) of each position by its angles. x: [B, L, N, d], table: [L, d/2, 2] of (cos, sin) -> [B, L, N, d].
 * @throws TensorError if the table does not fit.
 */
export function rope(x: Tensor, table: Tensor): Tensor {
  const [, L, , d] = x.shape as [number, number, number, number];
  check(
    'rope',
    x.rank === 4 && d % 4 === 0,
    () => `input must be [B, L, N, d] with d a multiple of 4, got [${x.shape}].`,
  );
  check(
    'rope',
    sameShape(table.shape, [L, d / 2, 2]),
    () => `table must be [${L}, ${d / 2}, 2], got [${table.shape}].`,
  );
  const angles = contiguous(table);
  // a rotation's transpose turns the other way
  return record('rope', rotate(contiguous(x), angles, 1), [x], (dy) => [rotate(contiguous(dy), angles, -1)]);
}

function rotate(x: Tensor, table: Tensor, direction: 1 | -1): Tensor {
  const [, L, N, d] = x.shape as [number, number, number, number];
  const y = empty(x.shape, x.dtype, x.storage.device);
  const count = x.size / 4;
  launch(ropeKernel, {
    spec: { type: floatStorageOf(x) },
    tensors: { x, table, y },
    uniforms: { count, vectors: d / 4, heads: N, positions: L, direction },
    grid: foldGrid(Math.ceil(count / 256)),
  });
  return y;
}

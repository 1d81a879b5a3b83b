import { record } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { gatherGradientKernel, gatherKernel } from '../kernels/embedding.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { elementsOwned } from '../kernels/storage.ts';
import { rowsOf, sameShape } from '../shape.ts';
import { empty, type Tensor } from '../tensor.ts';
import { launch, storageOf } from './launch.ts';
import { contiguous } from './view.ts';

/** Elements of each row by index. x: [..., C], indices: u32 [..., K] below C -> [..., K]. */
export function gather(x: Tensor, indices: Tensor): Tensor {
  check(
    'gather',
    indices.dtype === 'u32' && sameShape(x.shape.slice(0, -1), indices.shape.slice(0, -1)),
    () =>
      `indices must be u32 and agree with x outside the last axis, got ${indices.dtype} [${indices.shape}] for [${x.shape}].`,
  );
  const { C } = rowsOf(x.shape);
  const { C: picks } = rowsOf(indices.shape);
  const picked = contiguous(indices);
  const y = empty(indices.shape, x.dtype, x.storage.device);
  const spec = { type: storageOf(x) };
  const grid = ({ size }: Tensor): readonly [number, number] =>
    foldGrid(Math.ceil(size / elementsOwned(spec.type) / 64));
  launch(gatherKernel, {
    spec,
    tensors: { x: contiguous(x), indices: picked, y },
    uniforms: { count: y.size, width: C, picks },
    grid: grid(y),
  });
  return record('gather', y, [x], (dy) => {
    const dx = empty(x.shape, x.dtype, x.storage.device);
    launch(gatherGradientKernel, {
      spec,
      tensors: { dy: contiguous(dy), indices: picked, dx },
      uniforms: { count: dx.size, width: C, picks },
      grid: grid(dx),
    });
    return [dx];
  });
}

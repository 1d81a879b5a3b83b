import { record } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { poolGradientKernel, poolKernel, type Pooling, type PoolSpec } from '../kernels/pool.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { empty, type Tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { floatStorageOf, launch, singleType } from './launch.ts';
import { contiguous } from './view.ts';

/** A square window that moves over a picture. */
export interface PoolOptions {
  /** Side of the window. */
  readonly size: number;
  /** Pixels between windows; the size by default. */
  readonly stride?: number;
  /** Pixels around the picture that windows may reach into, at most half the size. */
  readonly padding?: number;
}

export interface AveragePoolOptions extends PoolOptions {
  /** Padding counts as zeros, as in PyTorch's default; else means are over the pixels inside. */
  readonly countPadding?: boolean;
}

/** Largest value of each window; padding never wins. x: [B, H, W, C] -> [B, h, w, C]. @throws TensorError if the window does not fit. */
export const maxPool2d = (x: Tensor, options: PoolOptions): Tensor => pool('max', x, options);

/** Mean of each window, by default of its pixels inside the picture. x: [B, H, W, C] -> [B, h, w, C]. @throws TensorError if the window does not fit. */
export const averagePool2d = (x: Tensor, options: AveragePoolOptions): Tensor => pool('average', x, options);

interface Windows {
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
}

function pool(pooling: Pooling, input: Tensor, options: AveragePoolOptions): Tensor {
  const windows = windowsOf(`${pooling}Pool2d`, input, options);
  const x = contiguous(input);
  const [B, , , C] = x.shape as [number, number, number, number];
  const width = C % 4 === 0 ? 4 : 1;
  const dtype = width === 4 ? x.dtype : singleType(x);
  const written = empty([B, windows.outHeight, windows.outWidth, C], dtype, x.storage.device);
  const spec: PoolSpec = {
    type: floatStorageOf(x),
    result: floatStorageOf(written),
    pooling,
    width,
    countPadding: options.countPadding ?? false,
  };
  const uniformsOf = (count: number): Record<string, number> => ({
    ...windows,
    count: count / spec.width,
    vectors: C / spec.width,
  });
  const gridOf = (count: number): readonly [number, number] => foldGrid(Math.ceil(count / spec.width / 64));
  launch(poolKernel, {
    spec,
    tensors: { x, y: written },
    uniforms: uniformsOf(written.size),
    grid: gridOf(written.size),
  });
  const y = cast(written, x.dtype);
  return record(`${pooling}Pool2d`, y, [x], (upstream) => {
    const dx = empty(x.shape, dtype, x.storage.device);
    const tensors = { ...(pooling === 'max' && { x, y }), dy: contiguous(upstream), dx };
    launch(poolGradientKernel, { spec, tensors, uniforms: uniformsOf(dx.size), grid: gridOf(dx.size) });
    return [cast(dx, x.dtype)];
  });
}

function windowsOf(op: string, x: Tensor, { size, stride = size, padding = 0 }: PoolOptions): Windows {
  check(op, x.rank === 4, () => `input must be [B, H, W, C], got [${x.shape}].`);
  const whole = [size, stride, padding].every(Number.isInteger);
  check(
    op,
    whole && size > 0 && stride > 0 && padding >= 0 && 2 * padding <= size,
    () =>
      `size and stride must be positive integers and padding at most half the size, got ${size}, ${stride} and ${padding}.`,
  );
  const [, height, width] = x.shape as [number, number, number, number];
  const out = (side: number): number => Math.floor((side + 2 * padding - size) / stride) + 1;
  check(
    op,
    out(height) > 0 && out(width) > 0,
    () => `window ${size}x${size} must fit the padded picture, got ${height}x${width} with padding ${padding}.`,
  );
  return { size, stride, padding, height, width, outHeight: out(height), outWidth: out(width) };
}

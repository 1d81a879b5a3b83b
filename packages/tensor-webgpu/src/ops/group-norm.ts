import { record } from '../autograd/record.ts';
import { check } from '../errors.ts';
import {
  groupNormInputKernel,
  groupNormKernel,
  groupNormSlopeMeansKernel,
  groupNormSlopeSumsKernel,
  groupNormStatisticsKernel,
  groupNormSumsKernel,
} from '../kernels/group-norm.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import type { FloatStorage } from '../kernels/storage.ts';
import { empty, type Tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { floatStorageOf, launch } from './launch.ts';
import { sum } from './reduce.ts';
import { contiguous } from './view.ts';

export interface GroupNormOptions {
  readonly groups: number;
  readonly eps: number;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly activation?: 'none' | 'silu';
}

/** Sides of a normalisation: B pictures of `pixels`, C channels in groups. */
interface Sides {
  readonly B: number;
  readonly pixels: number;
  readonly C: number;
  readonly groups: number;
}

/** Pixels that one invocation walks: the statistics of its channels are loaded once for all of them. */
const stripPixels = 32;

/**
 * Group normalisation over pixels and the channels of a group, then scale, shift and SiLU if asked. x: [B, H, W, C] -> [B, H, W, C].
 * @throws TensorError if the channels cannot be grouped, or are no multiple of 4.
 */
export function groupNorm(x: Tensor, options: GroupNormOptions): Tensor {
  const { groups, eps, activation = 'none' } = options;
  const [weight, bias] = [cast(options.weight, 'f32'), cast(options.bias, 'f32')];
  const C = x.shape.at(-1)!;
  check(
    'groupNorm',
    C % groups === 0 && C % 4 === 0,
    () => `channels must be a multiple of 4 and of ${groups} groups, got [${x.shape}].`,
  );
  const B = x.shape[0]!;
  const sides = { B, pixels: x.size / (B * C), C, groups };
  const source = contiguous(x);
  const saved = { x: source, ...statistics(source, sides, eps), weight, bias };
  const spec = { type: floatStorageOf(x), silu: activation === 'silu' } as const;
  const y = empty(x.shape, x.dtype, x.storage.device);
  launch(groupNormKernel, { spec, tensors: { ...saved, y }, ...alongStrips(sides) });
  return record('groupNorm', y, [source, weight, bias], (dy) => gradients(saved, contiguous(dy), sides, spec));
}

const stripsOf = ({ pixels }: Sides): number => Math.ceil(pixels / stripPixels);

interface Places {
  readonly uniforms: Readonly<Record<string, number>>;
  readonly grid: readonly [number, number];
}

/** One invocation for each strip of each vector of four channels. */
function alongStrips(sides: Sides): Places {
  const { B, pixels, C, groups } = sides;
  const [vectors, strips] = [C / 4, stripsOf(sides)];
  const count = B * strips * vectors;
  const uniforms = { count, pixels, vectors, strips, strip: stripPixels, groups, per_group: C / groups };
  return { uniforms, grid: foldGrid(Math.ceil(count / 64)) };
}

/** One invocation for each group of each picture; `scale` makes means of sums. */
function overGroups(sides: Sides): Places {
  const { B, pixels, C, groups } = sides;
  const perGroup = C / groups;
  const scale = 1 / (pixels * perGroup);
  const uniforms = { count: B * groups, strips: stripsOf(sides), groups, per_group: perGroup, scale };
  return { uniforms, grid: foldGrid(Math.ceil((B * groups) / 64)) };
}

/** Two tensors of sums over strips: f32 [B, strips, C]. */
function stripSums(x: Tensor, sides: Sides): [Tensor, Tensor] {
  const shape = [sides.B, stripsOf(sides), sides.C];
  return [empty(shape, 'f32', x.storage.device), empty(shape, 'f32', x.storage.device)];
}

/** Two tensors of one number a group: f32 [B, groups]. */
const groupValues = (x: Tensor, { B, groups }: Sides): [Tensor, Tensor] => [
  empty([B, groups], 'f32', x.storage.device),
  empty([B, groups], 'f32', x.storage.device),
];

function statistics(x: Tensor, sides: Sides, eps: number): { mean: Tensor; rstd: Tensor } {
  const [sums, squares] = stripSums(x, sides);
  launch(groupNormSumsKernel, {
    spec: { type: floatStorageOf(x) },
    tensors: { x, sums, squares },
    ...alongStrips(sides),
  });
  const [mean, rstd] = groupValues(x, sides);
  const { uniforms, grid } = overGroups(sides);
  launch(groupNormStatisticsKernel, {
    spec: {},
    tensors: { sums, squares, mean, rstd },
    uniforms: { ...uniforms, eps },
    grid,
  });
  sums.dispose();
  squares.dispose();
  return { mean, rstd };
}

/** What the forward pass leaves for the backward one. */
type Saved = Readonly<Record<'x' | 'mean' | 'rstd' | 'weight' | 'bias', Tensor>>;

/** dbias = sum dv, dweight = sum dv xhat, dx = rstd (weight dv - mean(weight dv) - xhat mean(weight dv xhat)). */
function gradients(
  saved: Saved,
  dy: Tensor,
  sides: Sides,
  spec: { readonly type: FloatStorage; readonly silu: boolean },
): Tensor[] {
  const { x, weight } = saved;
  const [sums, products] = stripSums(x, sides);
  launch(groupNormSlopeSumsKernel, { spec, tensors: { ...saved, dy, sums, products }, ...alongStrips(sides) });
  const [a, b] = groupValues(x, sides);
  launch(groupNormSlopeMeansKernel, {
    spec: {},
    tensors: { sums, products, weight, a, b },
    ...overGroups(sides),
  });
  const dx = empty(x.shape, x.dtype, x.storage.device);
  launch(groupNormInputKernel, { spec, tensors: { ...saved, dy, a, b, dx }, ...alongStrips(sides) });
  const overStrips = { axis: [0, 1] };
  return [dx, sum(products, overStrips), sum(sums, overStrips)];
}

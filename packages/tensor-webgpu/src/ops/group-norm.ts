import { noGrad, record } from '../autograd/record.ts';
import { floatType } from '../dtype.ts';
import { check } from '../errors.ts';
import {
  channelSumsKernel,
  groupNormInputKernel,
  groupNormKernel,
  groupNormSlopeKernel,
} from '../kernels/group-norm.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { scope } from '../scope.ts';
import { empty, type Tensor } from '../tensor.ts';
import { launch } from './launch.ts';
import { map } from './map.ts';
import { sum } from './reduce.ts';
import { cast, mul } from './elementwise.ts';
import { contiguous, reshape } from './view.ts';

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

/** Pixels that one invocation adds up before partial sums are joined. */
const stripPixels = 64;

/**
 * Group normalisation over pixels and the channels of a group, then scale, shift and SiLU if asked. x: [B, H, W, C] -> [B, H, W, C].
 * @throws TensorError if the channels cannot be grouped, or are no multiple of 4.
 */
export function groupNorm(x: Tensor, { groups, eps, weight, bias, activation = 'none' }: GroupNormOptions): Tensor {
  const C = x.shape.at(-1)!;
  check(
    'groupNorm',
    C % groups === 0 && C % 4 === 0,
    () => `channels must be a multiple of 4 and of ${groups} groups, got [${x.shape}].`,
  );
  const B = x.shape[0]!;
  const sides = { B, pixels: x.size / (B * C), C, groups };
  const source = contiguous(x);
  const { mean, rstd } = statistics(source, sides, eps);
  const spec = { type: floatType(x.dtype), silu: activation === 'silu' } as const;
  const y = empty(x.shape, x.dtype, x.storage.device);
  launch(groupNormKernel, { spec, tensors: { x: source, mean, rstd, weight, bias, y }, ...pointwise(sides) });
  return record('groupNorm', y, [source, weight, bias], (dy) =>
    gradients(source, contiguous(dy), { sides, mean, rstd, weight, bias, spec }),
  );
}

function pointwise({ B, pixels, C, groups }: Sides): {
  uniforms: Record<string, number>;
  grid: readonly [number, number];
} {
  const vectors = C / 4;
  const count = B * pixels * vectors;
  return {
    uniforms: { count, image: pixels * vectors, vectors, groups, per_group: C / groups },
    grid: foldGrid(Math.ceil(count / 256)),
  };
}

/** Sums of a and of a b over pixels. a, b: [B, P, C] -> two [B, C]. */
function channelSums(a: Tensor, b: Tensor, { B, pixels, C }: Sides): [Tensor, Tensor] {
  const strips = Math.ceil(pixels / stripPixels);
  const vectors = C / 4;
  const count = B * strips * vectors;
  const [sumA, sumAB] = [
    empty([B, strips, C], 'f32', a.storage.device),
    empty([B, strips, C], 'f32', a.storage.device),
  ];
  launch(channelSumsKernel, {
    spec: { type: floatType(a.dtype) },
    tensors: { a, b, sum_a: sumA, sum_ab: sumAB },
    uniforms: { count, pixels, vectors, strips, strip: stripPixels },
    grid: foldGrid(Math.ceil(count / 64)),
  });
  return [sum(sumA, { axis: 1 }), sum(sumAB, { axis: 1 })];
}

/** Sums per channel [B, C] folded into sums per group [B, groups]. */
const perGroup = (x: Tensor, { B, C, groups }: Sides): Tensor => sum(reshape(x, [B, groups, C / groups]), { axis: 2 });

/** Mean and reciprocal deviation of each group: [B, groups]. Shifted by the group's first values' mean it would be safer still; inputs here are near zero mean. */
function statistics(x: Tensor, sides: Sides, eps: number): { mean: Tensor; rstd: Tensor } {
  return noGrad(() =>
    scope(() => {
      const count = (sides.pixels * sides.C) / sides.groups;
      const [total, squares] = channelSums(x, x, sides).map((s) => perGroup(s, sides)) as [Tensor, Tensor];
      const mean = mul(total, 1 / count);
      const rstd = map('groupNorm', [squares, mean], 'inverseSqrt(max(a * u.s0 - b * b, vec4<f32>(0.0)) + u.s1)', {
        scalars: [1 / count, eps],
      });
      return { mean, rstd };
    }),
  );
}

interface Saved {
  readonly sides: Sides;
  readonly mean: Tensor;
  readonly rstd: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly spec: { readonly type: 'f32' | 'f16'; readonly silu: boolean };
}

/** dbias = sum dv, dweight = sum dv xhat, dx = rstd (weight dv - mean(weight dv) - xhat mean(weight dv xhat)). */
function gradients(x: Tensor, dy: Tensor, { sides, mean, rstd, weight, bias, spec }: Saved): Tensor[] {
  const [xhat, dv, dx] = [empty(x.shape, x.dtype), empty(x.shape, x.dtype), empty(x.shape, x.dtype)];
  launch(groupNormSlopeKernel, { spec, tensors: { x, dy, mean, rstd, weight, bias, xhat, dv }, ...pointwise(sides) });
  const [sumDv, sumDvXhat] = channelSums(dv, xhat, sides);
  const scale = sides.groups / (sides.pixels * sides.C);
  const [a, b] = [sumDv, sumDvXhat].map((s) => mul(perGroup(mul(s, cast(weight, 'f32')), sides), scale)) as [
    Tensor,
    Tensor,
  ];
  launch(groupNormInputKernel, {
    spec: { type: spec.type },
    tensors: { xhat, dv, a, b, rstd, weight, dx },
    ...pointwise(sides),
  });
  return [dx, cast(sum(sumDvXhat, { axis: 0 }), weight.dtype), cast(sum(sumDv, { axis: 0 }), bias.dtype)];
}

import { record, wantsGrad } from '../autograd/record.ts';
import { bytesPerElement } from '../dtype.ts';
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
import { isBindable, partAlong, rowsPart, type Run, runsOf, stepOf } from './parts.ts';
import { sum } from './reduce.ts';
import { concat, contiguous, slice } from './view.ts';

/** What `groupNorm` normalises by, and what follows. */
export interface GroupNormOptions {
  /** Number of groups; it divides C. */
  readonly groups: number;
  /** Added to the variance. */
  readonly eps: number;
  /** Factor of each channel, [C]. */
  readonly weight: Tensor;
  /** Summand of each channel, [C]. */
  readonly bias: Tensor;
  /** What follows, in the same pass; none if not given. */
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
  if (B > 1 && !isBindable(source))
    return concat(
      pictures(source, (one) => groupNorm(one, options)),
      0,
    );
  const saved = { x: source, statistics: statisticsOf(source, sides, eps), weight, bias };
  const spec = { type: floatStorageOf(x), silu: activation === 'silu' } as const;
  const y = empty(x.shape, x.dtype, x.storage.device);
  for (const run of stripRuns(source, sides)) {
    const tensors = { ...saved, x: pixelsOf(source, sides, run), y: pixelsOf(y, sides, run) };
    launch(groupNormKernel, { spec, tensors, ...alongStrips(runSides(sides, run)) });
  }
  return record('groupNorm', y, [source, weight, bias], (dy) => gradients(saved, contiguous(dy), sides, spec));
}

/** What comes of each picture of a batch. */
const pictures = (x: Tensor, run: (one: Tensor) => Tensor): Tensor[] =>
  Array.from({ length: x.shape[0]! }, (_, b) =>
    run(wantsGrad(x) ? slice(x, 0, b, b + 1) : partAlong(x, 0, [b, b + 1])),
  );

/** Runs of strips whose pixels can be bound; all of them at once where the whole can. */
function stripRuns(x: Tensor, sides: Sides): readonly Run[] {
  const strips = stripsOf(sides);
  if (isBindable(x)) return [[0, strips]];
  const step = stepOf(4 * sides.C);
  const bytes = stripPixels * sides.C * bytesPerElement[x.dtype];
  const most = Math.floor(x.storage.device.largestBindingBytes / bytes / step) * step;
  check(
    'groupNorm',
    most > 0,
    () =>
      `${step} strips of ${stripPixels} pixels of [${x.shape}] must fit one binding of ${x.storage.device.largestBindingBytes} bytes, got ${step * bytes}. Use an adapter with larger bindings.`,
  );
  return runsOf(strips, most);
}

/** Pixels of a run of strips, as one picture or, where that is all, the whole batch. */
const pixelRun = ({ pixels }: Sides, [start, end]: Run): Run => [
  start * stripPixels,
  Math.min(pixels, end * stripPixels),
];

const isWhole = (sides: Sides, [start, end]: Run): boolean => start === 0 && end === stripsOf(sides);

const pixelsOf = (x: Tensor, sides: Sides, run: Run): Tensor =>
  isWhole(sides, run) ? x : rowsPart(x, sides.pixels, pixelRun(sides, run));

function runSides(sides: Sides, run: Run): Sides {
  const [start, end] = pixelRun(sides, run);
  return { ...sides, pixels: end - start };
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

/** Two numbers a group: f32 [B, groups, 2]. */
const groupValues = (x: Tensor, { B, groups }: Sides): Tensor => empty([B, groups, 2], 'f32', x.storage.device);

/** Mean and 1 / standard deviation of each group. */
function statisticsOf(x: Tensor, sides: Sides, eps: number): Tensor {
  const [sums, squares] = stripSums(x, sides);
  for (const run of stripRuns(x, sides)) {
    const ofRun = (all: Tensor): Tensor => (isWhole(sides, run) ? all : rowsPart(all, stripsOf(sides), run));
    launch(groupNormSumsKernel, {
      spec: { type: floatStorageOf(x) },
      tensors: { x: pixelsOf(x, sides, run), sums: ofRun(sums), squares: ofRun(squares) },
      ...alongStrips(runSides(sides, run)),
    });
  }
  const statistics = groupValues(x, sides);
  const { uniforms, grid } = overGroups(sides);
  launch(groupNormStatisticsKernel, {
    spec: {},
    tensors: { sums, squares, statistics },
    uniforms: { ...uniforms, eps },
    grid,
  });
  sums.dispose();
  squares.dispose();
  return statistics;
}

/** What the forward pass leaves for the backward one. */
type Saved = Readonly<Record<'x' | 'statistics' | 'weight' | 'bias', Tensor>>;

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
  const means = groupValues(x, sides);
  launch(groupNormSlopeMeansKernel, {
    spec: {},
    tensors: { sums, products, weight, means },
    ...overGroups(sides),
  });
  const dx = empty(x.shape, x.dtype, x.storage.device);
  launch(groupNormInputKernel, { spec, tensors: { ...saved, dy, means, dx }, ...alongStrips(sides) });
  const overStrips = { axis: [0, 1] };
  return [dx, sum(products, overStrips), sum(sums, overStrips)];
}

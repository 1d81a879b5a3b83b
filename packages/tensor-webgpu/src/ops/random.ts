import { check } from '../errors.ts';
import { type Distribution, numbersPerBlock, randomKernel } from '../kernels/random.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { scope } from '../scope.ts';
import type { Shape } from '../shape.ts';
import { empty, Tensor, tensor } from '../tensor.ts';
import { launch } from './launch.ts';
import { isBindable, partAlong, rowRuns, rowsPart } from './parts.ts';
import { contiguous, slice } from './view.ts';

/** Seeds as numbers, or as their words on the device: u32 [n, 2], low word first, which a plan can read anew at each run. */
export type Seed = number | readonly number[] | Tensor;

/** Where random numbers come from: the same numbers for the same source, on every adapter and on the host (`hostRandom`). */
export interface RandomSource {
  /** A whole number below 2^53; or one for each equal share of the first axis, so that each share depends on its own seed only. */
  readonly seed: Seed;
  /** Separates uses of one seed. */
  readonly stream?: number;
  /** Numbers of the stream to skip. */
  readonly offset?: number;
}

/** The words of whole numbers below 2^53, low word first, as kernels that draw want them. */
export function seedWords(seeds: readonly number[], op = 'seedWords'): Uint32Array {
  for (const value of seeds)
    check(
      op,
      Number.isSafeInteger(value) && value >= 0,
      () => `seed must be a whole number from 0 to 2^53 - 1, got ${value}.`,
    );
  return Uint32Array.from(seeds.flatMap((value) => [value >>> 0, Math.floor(value / 2 ** 32)]));
}

/** Seeds on the device. -> u32 [n, 2]. */
export function seedTensor(op: string, seed: Seed): Tensor {
  if (seed instanceof Tensor) {
    check(
      op,
      seed.dtype === 'u32' && seed.rank === 2 && seed.shape[1] === 2 && seed.isPacked,
      () => `seed must be packed u32 [n, 2], got ${seed.dtype} [${seed.shape}]. seedWords makes the values.`,
    );
    return seed;
  }
  const seeds = typeof seed === 'number' ? [seed] : seed;
  return tensor(seedWords(seeds, op), [seeds.length, 2], { dtype: 'u32' });
}

/** Uniform in [0, 1) with 24 bits -> f32. */
export const uniform = (shape: Shape, source: RandomSource): Tensor => draw('uniform', shape, source);

/** Standard normal (Box-Muller) -> f32. */
export const normal = (shape: Shape, source: RandomSource): Tensor => draw('normal', shape, source);

/** Standard Gumbel: -log(-log(u)) with u in (0, 1) -> f32. */
export const gumbel = (shape: Shape, source: RandomSource): Tensor => draw('gumbel', shape, source);

/** 1 with the given probability, else 0 -> f32. */
export const bernoulli = (shape: Shape, probability: number, source: RandomSource): Tensor =>
  draw('bernoulli', shape, source, probability);

function draw(
  distribution: Distribution,
  shape: Shape,
  { seed, stream = 0, offset = 0 }: RandomSource,
  probability = 0,
): Tensor {
  return scope(() => {
    const seeds = seedTensor(distribution, seed);
    const y = empty(shape);
    checkShares(distribution, shape[0] ?? 1, seeds.shape[0]!);
    const numbers = { distribution, stream, probability };
    if (isBindable(y)) fill(y, seeds, { ...numbers, offset });
    else fillByParts(y, seeds, { ...numbers, offset });
    return y;
  });
}

interface Numbers {
  readonly distribution: Distribution;
  readonly stream: number;
  readonly offset: number;
  readonly probability: number;
}

/** Fills equal shares of a tensor, each from its seed. */
function fill(y: Tensor, seeds: Tensor, { distribution, ...numbers }: Numbers): void {
  const groups = seeds.shape[0]!;
  const perGroup = y.size / groups;
  if (perGroup === 0) return;
  const perBlock = numbersPerBlock(distribution);
  const { offset } = numbers;
  const blocks = Math.floor((offset + perGroup - 1) / perBlock) - Math.floor(offset / perBlock) + 1;
  launch(randomKernel, {
    spec: { distribution },
    tensors: { seeds, y },
    uniforms: { groups, perGroup, blocks, ...numbers },
    grid: foldGrid(Math.ceil((groups * blocks) / 64)),
  });
}

/** The same for a tensor that is too large to bind: share by share, each in runs. */
function fillByParts(y: Tensor, seeds: Tensor, numbers: Numbers): void {
  const groups = seeds.shape[0]!;
  const perGroup = y.size / groups;
  const rows = y.view([groups, perGroup]);
  for (let group = 0; group < groups; group++) {
    const share = partAlong(rows, 0, [group, group + 1]);
    check(
      numbers.distribution,
      share.offset === 0,
      () => `shares of [${y.shape}] must begin at whole bindings, got ${perGroup} elements each. Draw fewer at once.`,
    );
    const seed = groups === 1 ? seeds : contiguous(slice(seeds, 0, group, group + 1));
    for (const run of rowRuns(numbers.distribution, perGroup, [share]))
      fill(rowsPart(share, perGroup, run), seed, { ...numbers, offset: numbers.offset + run[0] });
  }
}

/** Refuses seeds that cannot share the rows evenly. */
export function checkShares(op: string, rows: number, seeds: number): void {
  check(
    op,
    seeds === 1 || (seeds > 0 && rows % seeds === 0),
    () => `seeds must divide the ${rows} rows evenly, got ${seeds}. Give one seed, or one for each share of the rows.`,
  );
}

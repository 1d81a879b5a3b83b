import { check } from '../errors.ts';
import { type Distribution, numbersPerBlock, randomKernel } from '../kernels/random.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { scope } from '../scope.ts';
import { type Shape, sizeOf } from '../shape.ts';
import { empty, type Tensor, tensor } from '../tensor.ts';
import { launch } from './launch.ts';

/** Where random numbers come from: the same numbers for the same source, on every adapter and on the host (`hostRandom`). */
export interface RandomSource {
  /** A whole number below 2^53; or one for each equal share of the first axis, so that each share depends on its own seed only. */
  readonly seed: number | readonly number[];
  /** Separates uses of one seed. */
  readonly stream?: number;
  /** Numbers of the stream to skip. */
  readonly offset?: number;
}

/** A tensor of seeds as pairs of 32-bit words, for kernels that draw. */
export function seedWords(op: string, seed: number | readonly number[]): Tensor {
  const seeds = typeof seed === 'number' ? [seed] : seed;
  for (const value of seeds)
    check(
      op,
      Number.isSafeInteger(value) && value >= 0,
      () => `seed must be a whole number from 0 to 2^53 - 1, got ${value}.`,
    );
  const words = seeds.flatMap((value) => [value >>> 0, Math.floor(value / 2 ** 32)]);
  return tensor(words, [seeds.length, 2], { dtype: 'u32' });
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
    const seeds = seedWords(distribution, seed);
    const groups = seeds.shape[0]!;
    const y = empty(shape);
    checkShares(distribution, shape[0] ?? 1, groups);
    const perGroup = sizeOf(shape) / groups;
    const numbers = numbersPerBlock(distribution);
    const blocks = Math.floor((offset + perGroup - 1) / numbers) - Math.floor(offset / numbers) + 1;
    if (perGroup === 0) return y;
    launch(randomKernel, {
      spec: { distribution },
      tensors: { seeds, y },
      uniforms: { groups, perGroup, blocks, offset, stream, probability },
      grid: foldGrid(Math.ceil((groups * blocks) / 64)),
    });
    return y;
  });
}

/** Refuses seeds that cannot share the rows evenly. */
export function checkShares(op: string, rows: number, seeds: number): void {
  check(
    op,
    seeds === 1 || (seeds > 0 && rows % seeds === 0),
    () => `seeds must divide the ${rows} rows evenly, got ${seeds}. Give one seed, or one for each share of the rows.`,
  );
}

import { hostRandom } from '@star-webgpu/tensor-webgpu';
import { productsOf } from './distances.ts';
import { checkSets, type FeatureSets } from './features.ts';
import { meanDeviation } from './mean-deviation.ts';

/** How `kid` draws its subsets. */
export interface KidOptions {
  /** Subsets whose distances are averaged. */
  readonly subsets?: number;
  /** Pictures of each side in a subset; fewer where a set is smaller. */
  readonly subsetSize?: number;
  /** Decides which pictures make a subset; 0 if not given. */
  readonly seed?: number;
}

/** Result of `kid`. */
export interface KernelInceptionDistance {
  /** Mean over the subsets. */
  readonly mean: number;
  /** Standard deviation over the subsets. */
  readonly deviation: number;
  /** How many were averaged. */
  readonly subsets: number;
  /** Pictures of each side in a subset. */
  readonly subsetSize: number;
}

/**
 * Kernel inception distance (Binkowski et al., 2018): the mean of `kernelDistance` over random subsets, 100 of 1000 as published.
 * @throws MetricError if a set has fewer than two pictures or lengths differ.
 */
export async function kid(sets: FeatureSets, options: KidOptions = {}): Promise<KernelInceptionDistance> {
  const { subsets = 100, seed = 0 } = options;
  checkSets('kid', sets, 2);
  const subsetSize = Math.min(options.subsetSize ?? 1000, sets.samples.length, sets.references.length);
  const random = hostRandom(seed);
  const distances: number[] = [];
  for (let i = 0; i < subsets; i++)
    distances.push(
      await kernelDistance({
        samples: drawn(sets.samples, subsetSize, random.uniform),
        references: drawn(sets.references, subsetSize, random.uniform),
      }),
    );
  return { ...meanDeviation(distances), subsets, subsetSize };
}

/** Different items in random order. */
function drawn<T>(items: readonly T[], count: number, uniform: () => number): T[] {
  const pool = [...items];
  return Array.from({ length: count }, (_, i) => {
    const at = i + Math.floor(uniform() * (pool.length - i));
    [pool[i], pool[at]] = [pool[at]!, pool[i]!];
    return pool[i]!;
  });
}

/**
 * Unbiased squared maximum mean discrepancy with the kernel (x y / D + 1)^3; it may be below zero for sets that are alike.
 * Products in float32 on the device, sums in float64. @throws MetricError if a set has fewer than two vectors or lengths differ.
 */
export async function kernelDistance(sets: FeatureSets): Promise<number> {
  checkSets('kernelDistance', sets, 2);
  const { samples: x, references: y } = sets;
  const within = async (set: readonly Float32Array[]): Promise<number> =>
    (await kernelSum(set, set, false)) / (set.length * (set.length - 1));
  const across = (await kernelSum(x, y, true)) / (x.length * y.length);
  return (await within(x)) + (await within(y)) - 2 * across;
}

/** Rows of one product. */
const chunkRows = 1000;

/** Sum of the kernel over all pairs, or over those of different places. */
async function kernelSum(x: readonly Float32Array[], y: readonly Float32Array[], diagonal: boolean): Promise<number> {
  const D = x[0]!.length;
  let sum = 0;
  for (let start = 0; start < x.length; start += chunkRows) {
    const products = await productsOf(x.slice(start, start + chunkRows), y);
    for (let i = 0; i < products.length; i++)
      if (diagonal || start + Math.floor(i / y.length) !== i % y.length) sum += (products[i]! / D + 1) ** 3;
  }
  return sum;
}

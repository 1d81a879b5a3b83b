import { MetricError } from '../picture.ts';

/** Mean and covariance of features, as pytorch-fid's .npz files hold them. */
export interface Statistics {
  /** [D] */
  readonly mean: Float64Array;
  /** [D, D] row-major, symmetric, over count - 1. */
  readonly covariance: Float64Array;
}

/** Mean and covariance of features that come one at a time, in float64. Memory does not grow with their number. */
export class FeatureStatistics {
  private seen = 0;
  private origin: Float64Array | undefined;
  private sums = new Float64Array(0);
  /** Lower triangle of the sums of products. */
  private products = new Float64Array(0);

  /** How many were added. */
  get count(): number {
    return this.seen;
  }

  /** Adds the features of one picture. @throws MetricError if their number changes or one is not finite. */
  add(features: ArrayLike<number>): void {
    this.origin ??= this.begin(features);
    const D = this.origin.length;
    checkFeatures(features, D);
    // Differences from the first picture: sums of large squares would cancel.
    const centred = this.origin.map((start, i) => features[i]! - start);
    for (let i = 0; i < D; i++) {
      const value = centred[i]!;
      this.sums[i]! += value;
      if (value === 0) continue;
      for (let j = 0, at = i * D; j <= i; j++, at++) this.products[at]! += value * centred[j]!;
    }
    this.seen++;
  }

  private begin(features: ArrayLike<number>): Float64Array {
    this.sums = new Float64Array(features.length);
    this.products = new Float64Array(features.length ** 2);
    return Float64Array.from(features);
  }

  /** @throws MetricError unless two or more were added. */
  result(): Statistics {
    const { seen: N, origin, sums, products } = this;
    if (!origin || N < 2)
      throw new MetricError('statistics', `features must come from two pictures or more, got ${N}. Add pictures.`);
    const D = origin.length;
    const covariance = new Float64Array(D * D);
    for (let i = 0; i < D; i++)
      for (let j = 0; j <= i; j++) {
        const value = (products[i * D + j]! - (sums[i]! * sums[j]!) / N) / (N - 1);
        covariance[i * D + j] = value;
        covariance[j * D + i] = value;
      }
    return { mean: origin.map((start, i) => start + sums[i]! / N), covariance };
  }
}

function checkFeatures(features: ArrayLike<number>, D: number): void {
  if (features.length !== D)
    throw new MetricError('statistics', `features must number ${D} as the first did, got ${features.length}.`);
  for (let i = 0; i < D; i++)
    if (!Number.isFinite(features[i]!))
      throw new MetricError(
        'statistics',
        `features must be finite, got ${features[i]} at ${i}. Check the network's weights.`,
      );
}

/** Statistics of features that are there all at once. @throws MetricError for fewer than two. */
export function statisticsOf(features: Iterable<ArrayLike<number>>): Statistics {
  const statistics = new FeatureStatistics();
  for (const one of features) statistics.add(one);
  return statistics.result();
}

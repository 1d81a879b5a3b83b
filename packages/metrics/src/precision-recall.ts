import { distanceRows } from './distances.ts';
import { checkSets, type FeatureSets } from './features.ts';

/** Result of `precisionRecall`. */
export interface PrecisionRecall {
  /** Share of samples that lie among the references: fidelity. */
  readonly precision: number;
  /** Share of references that lie among the samples: variety. */
  readonly recall: number;
  readonly neighbours: number;
}

/**
 * Improved precision and recall (Kynkaanniemi et al., 2019): a set covers what is as near to one of its members as that member's k-th neighbour.
 * Distances from products in float32 on the device. @throws MetricError unless each set has more than k vectors of one length.
 */
export async function precisionRecall(
  sets: FeatureSets,
  { neighbours = 3 }: { readonly neighbours?: number } = {},
): Promise<PrecisionRecall> {
  checkSets('precisionRecall', sets, neighbours + 1);
  const { samples, references } = sets;
  return {
    precision: await coveredShare(samples, references, neighbours),
    recall: await coveredShare(references, samples, neighbours),
    neighbours,
  };
}

/** Share of the vectors that a set covers. */
async function coveredShare(
  vectors: readonly Float32Array[],
  set: readonly Float32Array[],
  neighbours: number,
): Promise<number> {
  const radii = await neighbourDistances(set, neighbours);
  let covered = 0;
  for await (const { rows } of distanceRows(vectors, set))
    covered += rows.filter((row) => row.some((distance, i) => distance <= radii[i]!)).length;
  return covered / vectors.length;
}

/** Squared distance of each vector's k-th nearest other one. */
async function neighbourDistances(set: readonly Float32Array[], neighbours: number): Promise<Float64Array> {
  const radii = new Float64Array(set.length);
  for await (const { start, rows } of distanceRows(set, set))
    rows.forEach((row, i) => {
      row[start + i] = Number.POSITIVE_INFINITY;
      radii[start + i] = smallest(row, neighbours);
    });
  return radii;
}

/** The k-th smallest of many numbers, in one pass. */
function smallest(values: Float64Array, k: number): number {
  const least = new Float64Array(k).fill(Number.POSITIVE_INFINITY);
  for (const value of values) {
    if (!(value < least[k - 1]!)) continue;
    let at = k - 1;
    for (; at > 0 && least[at - 1]! > value; at--) least[at] = least[at - 1]!;
    least[at] = value;
  }
  return least[k - 1]!;
}

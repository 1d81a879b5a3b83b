import { meanDeviation } from './mean-deviation.ts';
import { MetricError } from './picture.ts';

/** Result of `inceptionScore`. */
export interface InceptionScore {
  /** Mean over the splits. */
  readonly mean: number;
  /** Standard deviation over the splits. */
  readonly deviation: number;
  readonly splits: number;
}

/**
 * Inception score (Salimans et al., 2016): exp of the mean divergence between a picture's class probabilities and those of its split, in float64.
 * @param logits one row a picture, in the order in which splits cut them.
 * @throws MetricError if there are fewer pictures than splits.
 */
export function inceptionScore(
  logits: readonly ArrayLike<number>[],
  { splits = 10 }: { readonly splits?: number } = {},
): InceptionScore {
  if (!(Number.isInteger(splits) && splits > 0 && splits <= logits.length))
    throw new MetricError(
      'inceptionScore',
      `splits must lie in 1..${logits.length}, the number of pictures, got ${splits}. Add pictures or take fewer splits.`,
    );
  const cut = (i: number): number => Math.floor((i * logits.length) / splits);
  const scores = Array.from({ length: splits }, (_, i) => splitScore(logits.slice(cut(i), cut(i + 1))));
  return { ...meanDeviation(scores), splits };
}

/** exp(mean over pictures of sum p (log p - log q)), q the mean of the p. */
function splitScore(logits: readonly ArrayLike<number>[]): number {
  const all = logits.map(logProbabilities);
  const shared = new Float64Array(all[0]!.length);
  for (const logs of all) logs.forEach((log, i) => (shared[i]! += Math.exp(log) / all.length));
  const divergence = (logs: Float64Array): number =>
    logs.reduce((sum, log, i) => sum + (shared[i]! > 0 ? Math.exp(log) * (log - Math.log(shared[i]!)) : 0), 0);
  return Math.exp(all.reduce((sum, logs) => sum + divergence(logs), 0) / all.length);
}

function logProbabilities(logits: ArrayLike<number>): Float64Array {
  const row = Float64Array.from(logits);
  const most = row.reduce((largest, value) => Math.max(largest, value), Number.NEGATIVE_INFINITY);
  const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0)) + most;
  return row.map((value) => value - total);
}

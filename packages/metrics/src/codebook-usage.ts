import { MetricError, type Stream } from './picture.ts';

/** How a set of tokens uses the codebook. */
export interface Usage {
  readonly tokens: number;
  /** Codes that occur at all. */
  readonly used: number;
  /** `used` as a share of the codebook. */
  readonly share: number;
  /** exp of the entropy of the codes: as many codes, used equally often, would be as varied. */
  readonly perplexity: number;
}

/** Result of `codebookUsage`. */
export interface CodebookUsageReport {
  readonly overall: Usage;
  /** Coarse to fine. */
  readonly scales: readonly Usage[];
}

/**
 * Usage of a codebook, over all tokens and scale by scale.
 * @param batches for each batch or picture the token indices of each scale, coarse to fine.
 * @throws MetricError if an index lies outside the codebook or the number of scales changes.
 */
export async function codebookUsage(
  batches: Stream<readonly ArrayLike<number>[]>,
  { codebookSize }: { readonly codebookSize: number },
): Promise<CodebookUsageReport> {
  let hits: Float64Array[] | undefined;
  for await (const scales of batches) {
    hits ??= scales.map(() => new Float64Array(codebookSize));
    if (scales.length !== hits.length)
      throw new MetricError(
        'codebookUsage',
        `batches must have the same scales, got ${scales.length} after ${hits.length}. Give all scales of each.`,
      );
    scales.forEach((indices, scale) => countHits(hits![scale]!, indices));
  }
  const each = hits ?? [];
  const all = new Float64Array(codebookSize).map((_, code) => each.reduce((sum, scale) => sum + scale[code]!, 0));
  return { overall: usageOf(all), scales: each.map(usageOf) };
}

function countHits(hits: Float64Array, indices: ArrayLike<number>): void {
  for (let i = 0; i < indices.length; i++) {
    const code = indices[i]!;
    if (!(code in hits))
      throw new MetricError(
        'codebookUsage',
        `indices must lie in 0..${hits.length - 1}, got ${code}. Give the codebookSize of the model.`,
      );
    hits[code]!++;
  }
}

function usageOf(hits: Float64Array): Usage {
  const tokens = hits.reduce((sum, count) => sum + count, 0);
  const used = hits.filter((count) => count > 0);
  const entropy = used.reduce((sum, count) => sum - (count / tokens) * Math.log(count / tokens), 0);
  return {
    tokens,
    used: used.length,
    share: used.length / hits.length,
    perplexity: tokens > 0 ? Math.exp(entropy) : 0,
  };
}

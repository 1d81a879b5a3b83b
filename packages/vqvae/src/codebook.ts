import { type HostRandom, ones, reshape, scatterAdd, stack, type Tensor } from '@star-webgpu/tensor-webgpu';

/** How often each code was used. */
export interface CodebookUsage {
  /** Share of codes that are used often enough to count. */
  readonly used: number;
  /** exp of the entropy of the use: the number of codes that would be used as unevenly if used evenly. */
  readonly perplexity: number;
}

/** Hits of each code at each scale. indices: u32 [B, l] of every scale -> f32 [S, V]. */
export const codeHits = (indices: readonly Tensor[], codebookSize: number): Tensor =>
  stack(
    indices.map((one) =>
      reshape(scatterAdd(ones([one.size, 1]), reshape(one, [one.size]), codebookSize), [codebookSize]),
    ),
  );

/** Usage from hits by code; a code counts as used if it has more than `least` of the hits that even use would give it. */
export function codebookUsage(hits: ArrayLike<number>, least = 0): CodebookUsage {
  const all = Array.from(hits);
  const total = all.reduce((sum, count) => sum + count, 0);
  const entropy = all.reduce((sum, count) => (count > 0 ? sum - (count / total) * Math.log(count / total) : sum), 0);
  const enough = (least * total) / all.length;
  return { used: all.filter((count) => count > enough).length / all.length, perplexity: Math.exp(entropy) };
}

/** What `reviveDeadCodes` chooses by. */
export interface Revival {
  /** Hits of each code since the last revival. */
  readonly counts: ArrayLike<number>;
  /** Vectors that were looked up lately, row-major [R, Z]. */
  readonly lookups: Float32Array;
  readonly random: HostRandom;
}

/** Puts looked-up vectors, picked at random, in place of codes that nothing hit. Returns how many. codebook: [V, Z], changed in place. */
export async function reviveDeadCodes(codebook: Tensor, { counts, lookups, random }: Revival): Promise<number> {
  const Z = codebook.shape[1]!;
  const rows = lookups.length / Z;
  const dead = Array.from(counts, (count, code) => (count > 0 ? -1 : code)).filter((code) => code >= 0);
  if (!dead.length || !rows) return 0;
  const values = await codebook.data();
  for (const code of dead) {
    const row = Math.floor(random.uniform() * rows);
    values.set(lookups.subarray(row * Z, (row + 1) * Z), code * Z);
  }
  codebook.storage.device.write(codebook.buffer, values);
  return dead.length;
}

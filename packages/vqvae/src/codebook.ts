import { type HostRandom, type Tensor } from '@star-webgpu/tensor-webgpu';

/** How often each code was used. */
export interface CodebookUsage {
  /** Share of codes used at all. */
  readonly used: number;
  /** exp of the entropy of the use: the number of codes that would be used as unevenly if used evenly. */
  readonly perplexity: number;
}

/** Adds hits of codes to counts by code. */
export function countHits(counts: Float64Array, indices: ArrayLike<number>): void {
  for (let i = 0; i < indices.length; i++) counts[indices[i]!]!++;
}

/** Usage from counts by code. */
export function codebookUsage(counts: ArrayLike<number>): CodebookUsage {
  const all = Array.from(counts);
  const total = all.reduce((sum, count) => sum + count, 0);
  const entropy = all.reduce((sum, count) => (count > 0 ? sum - (count / total) * Math.log(count / total) : sum), 0);
  return { used: all.filter((count) => count > 0).length / all.length, perplexity: Math.exp(entropy) };
}

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

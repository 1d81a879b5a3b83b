import { type CodebookUsage, codebookUsage } from './codebook.ts';
import type { VqvaeConfig } from './config.ts';

/** Share of the hits of even use that a code needs to count as used (VAR's training code). */
const leastShare = 0.08;

/** Steps in which the mean follows the hits quickly. */
const quickSteps = 100;

/** What a meter goes on from. */
export interface UsageState {
  readonly hits: Float32Array;
  readonly steps: number;
}

/** How the codebook is used in training, scale by scale: running means of the hits of each code (VAR's `ema_vocab_hit_SV`). */
export class UsageMeter {
  private readonly codes: number;
  private readonly hits: Float32Array;
  private steps = 0;

  constructor({ patchNumbers, codebookSize }: Pick<VqvaeConfig, 'patchNumbers' | 'codebookSize'>) {
    this.codes = codebookSize;
    this.hits = new Float32Array(patchNumbers.length * codebookSize);
  }

  /** Takes in the hits of one step, as `codeHits` counts them. [S, V]. */
  add(hits_SV: Float32Array): void {
    const keep = this.steps === 0 ? 0 : this.steps < quickSteps ? 0.9 : 0.99;
    this.steps++;
    for (let i = 0; i < this.hits.length; i++) this.hits[i] = keep * this.hits[i]! + (1 - keep) * hits_SV[i]!;
  }

  /** Usage of every scale, coarse to fine. */
  scales(): CodebookUsage[] {
    const V = this.codes;
    return Array.from({ length: this.hits.length / V }, (_, s) =>
      codebookUsage(this.hits.subarray(s * V, (s + 1) * V), leastShare),
    );
  }

  /** What it knows: means of all scales, [S, V], and the number of steps. */
  state(): UsageState {
    return { hits: this.hits.slice(), steps: this.steps };
  }

  /** Goes on from such a state. */
  restore({ hits, steps }: UsageState): void {
    this.hits.set(hits);
    this.steps = steps;
  }
}

import { concat, embedding, fixTokens, full, type Tensor, zeros } from '@star-webgpu/tensor-webgpu';
import { tokenCounts } from './token-counts.ts';

/** How a scale is drawn in steps. */
export interface StableOptions {
  /**
   * Which head draws. '1024', as the published models are sampled: before the fourteenth scale the main head draws in the first five
   * steps, and its surest tokens are fixed beside random ones; the refiner does the rest. 'new': the refiner draws at every step.
   */
  readonly version: '1024' | 'new';
  /** Steps of each scale. */
  readonly steps: number;
}

/** What a step draws. */
export interface StableDraw {
  /** u32 [B, l]. */
  readonly drawn_Bl: Tensor;
  /** Larger for what is surer: the probability of each draw among those that top-k and top-p leave, or its logarithm. [B, l]. */
  readonly scores_Bl: Tensor;
}

/** What draws the tokens of one scale: all logits are guided, [B, l, V]. */
export interface StableHeads {
  /** Logits of the main head. */
  readonly main: () => Tensor;
  /** Logits of the refiner, given the code vectors of the fixed tokens and zeros for the open ones. [B, l, Z]. */
  readonly refined: (codes_BlZ: Tensor) => Tensor;
  /** Draws of a step, and how sure each is. */
  readonly draw: (logits_BlV: Tensor, step: number) => StableDraw;
  /** Random numbers of a step, in [0, 1). [B, l]. */
  readonly random: (step: number) => Tensor;
}

/** Steps at the start in which chance decides which tokens are fixed, as the model is never sure of the first ones. */
const randomSteps = 5;

/** First scale that has more steps and no use for the main head, as published. */
const lastScales = 13;

/** Steps of a scale, as published. */
export const publishedSteps = (scale: number): number => (scale < lastScales ? 8 : 15);

/**
 * Causal-driven stable sampling (STAR, section 3.4): draws a scale in steps, each given the tokens that are fixed, and fixes more of
 * them in each. codebook: [V, Z] -> tokens u32 [B, l].
 */
export function drawStable(
  heads: StableHeads,
  [B, l]: readonly [pictures: number, tokens: number],
  { codebook_VZ, scale, version, steps }: StableOptions & { readonly codebook_VZ: Tensor; readonly scale: number },
): Tensor {
  const [open, Z] = codebook_VZ.shape as [number, number];
  const rows = concat([codebook_VZ, zeros([1, Z], { dtype: codebook_VZ.dtype })], 0);
  const main_BlV = version === '1024' && scale < lastScales ? heads.main() : undefined;
  let tokens_Bl = full([B, l], open, { dtype: 'u32' });
  for (const [step, count] of tokenCounts(l, steps).entries()) {
    const given_BlV = step < randomSteps ? main_BlV : undefined;
    const logits_BlV = given_BlV ?? heads.refined(embedding(rows, tokens_Bl));
    const { drawn_Bl: drawn, scores_Bl } = heads.draw(logits_BlV, step);
    const surely = { drawn, scores: scores_Bl, count, open };
    if (given_BlV) tokens_Bl = fixTokens(tokens_Bl, { ...surely, among: 'all' });
    const scores = step < randomSteps ? heads.random(step) : surely.scores;
    tokens_Bl = fixTokens(tokens_Bl, { ...surely, scores, among: 'open' });
  }
  return tokens_Bl;
}

import { openCodes } from '@star-webgpu/star-transformer';
import { embedding, fixTokens, type Tensor } from '@star-webgpu/tensor-webgpu';
import { tokenCounts } from './token-counts.ts';

/**
 * Which head draws. '1024', as the published models are sampled: before the fourteenth scale the main head draws in the first five
 * steps, and its surest tokens are fixed beside random ones; the refiner does the rest. 'new': the refiner draws at every step.
 */
export type StableVersion = '1024' | 'new';

/** How a scale is drawn in steps. */
export interface StableOptions {
  /** Which head draws at which step. */
  readonly version: StableVersion;
  /** Most steps; a scale of fewer tokens takes fewer. */
  readonly steps: number;
  /** Index of the scale, from 0. */
  readonly scale: number;
  /** [V, Z] */
  readonly codebook_VZ: Tensor;
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
 * them in each. tokens: u32 [B, l], V where they are open -> u32 [B, l], all fixed.
 */
export function drawStable(
  heads: StableHeads,
  tokens_Bl: Tensor,
  { codebook_VZ, scale, version, steps }: StableOptions,
): Tensor {
  const open = codebook_VZ.shape[0]!;
  const codes = openCodes(codebook_VZ);
  const main_BlV = version === '1024' && scale < lastScales ? heads.main() : undefined;
  return tokenCounts(tokens_Bl.shape[1]!, steps).reduce((fixed_Bl, count, step) => {
    const given_BlV = step < randomSteps ? main_BlV : undefined;
    const logits_BlV = given_BlV ?? heads.refined(embedding(codes, fixed_Bl));
    const { drawn_Bl, scores_Bl } = heads.draw(logits_BlV, step);
    const fix = (tokens: Tensor, scores: Tensor, among: 'open' | 'all'): Tensor =>
      fixTokens(tokens, { drawn: drawn_Bl, scores, count, open, among });
    const surest_Bl = given_BlV ? fix(fixed_Bl, scores_Bl, 'all') : fixed_Bl;
    return fix(surest_Bl, step < randomSteps ? heads.random(step) : scores_Bl, 'open');
  }, tokens_Bl);
}

import { currentDevice, type Precision, type Tensor } from '@star-webgpu/tensor-webgpu';
import type { Star, WatchedText } from '@star-webgpu/star-transformer';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import { latentSize, type MapSize, tokenCount, tokenMaps, type Vqvae } from '@star-webgpu/vqvae';
import { checkModels } from './check-models.ts';
import type { Pictures } from './image.ts';
import { resolveOptions, type SamplingOptions, SamplingOptionsError } from './options.ts';
import { plannedOptions } from './plan-numbers.ts';
import { type GivenTokens, SamplingPlan, type SamplingPlans } from './sampling-plan.ts';
import { plannedWatch } from './watched-words.ts';

/** The transformer that predicts tokens, and the VQVAE whose tokens they are. */
export interface Models {
  readonly star: Star;
  readonly vqvae: Vqvae;
  /** Type of products, of keys and of values: f32, or f16 within half precision of it. That of the code around if absent. */
  readonly precision?: Precision;
  /** Keeps what was recorded for one sampling for the next of its kind; without it each records anew. */
  readonly plans?: SamplingPlans;
}

/** What to draw, and what guidance leads away from. */
export interface GuidedText {
  /** Features of B prompts. */
  readonly conditional: TextFeatures;
  /** Features of the empty prompt, or of what the pictures should not show: one row, or B. */
  readonly unconditional: TextFeatures;
}

/** Options of a sampling, what stays of given pictures, and which words are watched. */
export interface GenerateOptions extends SamplingOptions {
  /** Tokens that stay or are drawn anew in part, for edits and variations; all are drawn if not given. */
  readonly given?: GivenTokens;
  /** Words whose attention is wanted; none if not given. */
  readonly watched?: WatchedText;
}

/** A scale that has just been drawn. Its tensors live until the next one is asked for. */
export interface ScaleStep {
  /** Index of the scale, from 0. */
  readonly scale: number;
  /** Size of its token map. */
  readonly map: MapSize;
  /** Tokens, row by row, u32 [B, l]. */
  readonly indices_Bl: Tensor;
  /** The latent map so far: the sum of all scales up to this one. [B, h, w, Z]. */
  readonly sum_BhwZ: Tensor;
  /** Share of the cross-attention that each watched word gets at each token, from 0 to 1. [B, W, l]. */
  readonly watched_BWl?: Tensor;
  /** The pictures so far; finished ones at the last scale. */
  decode(): Promise<Pictures>;
}

/**
 * Draws pictures scale by scale (STAR, arXiv 2406.10797; VAR, arXiv 2404.02905): the caller decides what to show, when to decode and when to stop.
 * A scale is given out once the device has finished it.
 * @throws SamplingOptionsError, ModelsError, or the signal's reason; the memory of the sampling is freed in any case.
 */
export async function* generate(
  models: Models,
  text: GuidedText,
  { given, watched, ...options }: GenerateOptions = {},
): AsyncGenerator<ScaleStep, void, undefined> {
  checkModels(models, text.conditional.states.shape[2]!);
  const [B, T, D] = text.conditional.states.shape as [number, number, number];
  const { patchNumbers } = models.star.config;
  const { seeds, signal, ...numbers } = resolveOptions(options, B, models.star.config);
  signal?.throwIfAborted();
  const latent = latentSize(patchNumbers, numbers.ratio);
  if (given) checkGiven(given, B, tokenCount(patchNumbers, latent));
  const watch = watched && plannedWatch(watched, { B, T }, models.star.config);
  const spec = { ...plannedOptions(numbers), edits: given !== undefined, watch, B, T, D };
  const plan = models.plans?.take(models, spec) ?? new SamplingPlan(models, spec);
  try {
    plan.begin({ text, numbers, seeds, given, words_BWT: watched?.words_BWT });
    const maps = tokenMaps(patchNumbers, latent);
    for (const [scale, map] of maps.entries()) {
      const { indices_Bl, sum_BhwZ, watched_BWl } = plan.draw(scale);
      await currentDevice().idle();
      const drawn = { scale, map, indices_Bl, sum_BhwZ, ...(watched_BWl && { watched_BWl }) };
      yield { ...drawn, decode: () => plan.decode(sum_BhwZ) };
      signal?.throwIfAborted();
    }
  } finally {
    if (models.plans) models.plans.giveBack(plan);
    else plan.dispose();
  }
}

/** Draws all scales and decodes the last one: the pictures of a sampling of which no scale is shown before. */
export async function finishedPictures(
  { star }: Pick<Models, 'star'>,
  steps: AsyncIterable<ScaleStep>,
): Promise<Pictures> {
  const last = star.config.patchNumbers.length - 1;
  for await (const { scale, decode } of steps) if (scale === last) return await decode();
  throw new Error(`pictures: the last scale, ${last}, was never drawn.`);
}

/** @throws SamplingOptionsError unless tokens and weights have a row for all pictures, or one each */
function checkGiven(given: GivenTokens, B: number, L: number): void {
  const faults = (['tokens_BL', 'weights_BL'] as const)
    .map((part) => [part, given[part].shape] as const)
    .filter(([, shape]) => shape.length !== 2 || (shape[0] !== 1 && shape[0] !== B) || shape[1] !== L)
    .map(([part, shape]) => `given ${part} of shape [${shape}] instead of [1, ${L}] or [${B}, ${L}]`);
  if (faults.length) throw new SamplingOptionsError(faults);
}

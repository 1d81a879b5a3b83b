import { currentPrecision, withPrecision } from '@star-webgpu/tensor-webgpu';
import type { TextEncoder, TextFeatures } from '@star-webgpu/text-encoder';
import { generate, type GenerateOptions, type Models, type ScaleStep } from './generate.ts';
import { resolveOptions, type SamplingOptions, SamplingOptionsError } from './options.ts';
import { plannedOptions } from './plan-numbers.ts';
import { disposeFeatures, encodePrompts, type Prompt, takeRows } from './prompts.ts';
import { watchedText, type WatchedWords } from './watched-words.ts';

/** What it takes to draw pictures from prompts. */
export interface PromptModels extends Models {
  readonly text: TextEncoder;
}

/** How pictures are drawn from prompts. */
export interface PromptOptions extends SamplingOptions {
  /** What pictures should not show, for all of them or one a picture: guidance leads away from it, as from the empty prompt otherwise. */
  readonly negativePrompt?: string | readonly string[];
  /** Words of the prompts whose places in the pictures each scale tells. */
  readonly watch?: WatchedWords;
}

/**
 * Draws one picture a prompt, scale by scale, with models that may still be in training; an empty prompt draws an
 * unconditional picture. @throws SamplingOptionsError, also for a negative prompt without guidance
 */
export async function* generateFromPrompts(
  models: PromptModels,
  prompts: readonly Prompt[],
  { negativePrompt = '', watch, ...options }: PromptOptions & Pick<GenerateOptions, 'given'> = {},
): AsyncGenerator<ScaleStep, void, undefined> {
  const B = prompts.length;
  const negatives = negativesOf(negativePrompt, B);
  if (negatives.some(Boolean) && plannedOptions(resolveOptions(options, B, models.star.config)).guidedScales === 0)
    throw new SamplingOptionsError([
      'a negative prompt with guidance 0 at every scale instead of more, as it is guidance that leads away from it',
    ]);
  const watched = watch && watchedText(models.text, prompts, watch);
  const precision = models.precision ?? currentPrecision();
  const features = withPrecision(precision, () => encodePrompts(models.text, [...prompts, ...negatives]));
  const rows = (from: number, to: number): TextFeatures => takeRows(features, from, to);
  const guided = { conditional: rows(0, B), unconditional: rows(B, B + negatives.length) };
  try {
    yield* generate(models, guided, { ...options, ...(watched && { watched }) });
  } finally {
    watched?.words_BWT.dispose();
    for (const part of [features, guided.conditional, guided.unconditional]) disposeFeatures(part);
  }
}

/** One negative prompt, or one a picture. @throws SamplingOptionsError where there are neither one nor as many as pictures */
function negativesOf(given: string | readonly string[], pictures: number): readonly string[] {
  const negatives = typeof given === 'string' ? [given] : given;
  if (negatives.length === 1 || negatives.length === pictures) return negatives;
  throw new SamplingOptionsError([`${negatives.length} negative prompts instead of 1 or ${pictures}, one a picture`]);
}

import { noGrad, scope, slice, type Tensor } from '@star-webgpu/tensor-webgpu';
import { loadStar, saveStar } from '@star-webgpu/star-transformer';
import { loadTextEncoder, saveTextEncoder, type TextEncoder, type TextFeatures } from '@star-webgpu/text-encoder';
import { loadVqvae, saveVqvae } from '@star-webgpu/vqvae';
import { checkModels } from './check-models.ts';
import { generate, type Models, type ScaleStep } from './generate.ts';
import type { Pictures } from './image.ts';
import {
  parseSamplingDefaults,
  type SamplingDefaults,
  samplingFile,
  type SamplingOptions,
  SamplingOptionsError,
} from './options.ts';
import { SamplingPlans } from './sampling-plan.ts';

/** Reads a file of a model folder by its path inside it. */
export type ReadFile = (path: string) => Promise<Uint8Array>;

/** What it takes to draw pictures from prompts. */
export interface PromptModels extends Models {
  readonly text: TextEncoder;
}

/** How pictures are drawn from prompts. */
export interface PromptOptions extends SamplingOptions {
  /** What pictures should not show, for all of them or one a picture: guidance leads away from it, as from the empty prompt otherwise. */
  readonly negativePrompt?: string | readonly string[];
}

/** Draws one picture a prompt, scale by scale, with models that may still be in training; an empty prompt draws an unconditional picture. */
export async function* generateFromPrompts(
  models: PromptModels,
  prompts: readonly string[],
  { negativePrompt = '', ...options }: PromptOptions = {},
): AsyncGenerator<ScaleStep, void, undefined> {
  const B = prompts.length;
  const negatives = negativesOf(negativePrompt, B);
  const features = scope(() => noGrad(() => models.text.encode([...prompts, ...negatives])));
  const rows = (from: number, to: number): TextFeatures => takeRows(features, from, to);
  const guided = { conditional: rows(0, B), unconditional: rows(B, B + negatives.length) };
  try {
    yield* generate(models, guided, options);
  } finally {
    for (const part of [features, guided.conditional, guided.unconditional]) disposeFeatures(part);
  }
}

/** One negative prompt, or one a picture. @throws SamplingOptionsError where there are neither one nor as many as pictures */
function negativesOf(given: string | readonly string[], pictures: number): readonly string[] {
  const negatives = typeof given === 'string' ? [given] : given;
  if (negatives.length === 1 || negatives.length === pictures) return negatives;
  throw new SamplingOptionsError([`${negatives.length} negative prompts instead of 1 or ${pictures}, one a picture`]);
}

/** The models of one folder: from prompts to pictures. */
export class Pipeline implements PromptModels {
  readonly star: Models['star'];
  readonly vqvae: Models['vqvae'];
  readonly text: TextEncoder;
  readonly plans: SamplingPlans = new SamplingPlans();
  /** What this model is best drawn with, where a call does not say otherwise. */
  readonly defaults: SamplingDefaults;

  /** Takes over the models: they only serve from now on, and are freed with the pipeline. @throws ModelsError */
  constructor({ star, vqvae, text }: PromptModels, defaults: SamplingDefaults = {}) {
    checkModels({ star, vqvae }, text.width);
    this.star = star.freeze();
    this.vqvae = vqvae.freeze();
    this.text = text;
    text.model.freeze();
    this.defaults = defaults;
  }

  /** Draws one picture a prompt, scale by scale; an empty prompt draws an unconditional picture. */
  generate(prompts: readonly string[], options: PromptOptions = {}): AsyncGenerator<ScaleStep, void, undefined> {
    return generateFromPrompts(this, prompts, { ...this.defaults, ...options });
  }

  /** Draws one picture a prompt and gives the finished ones. */
  async pictures(prompts: readonly string[], options: PromptOptions = {}): Promise<Pictures> {
    const last = this.star.config.patchNumbers.length - 1;
    for await (const step of this.generate(prompts, options)) if (step.scale === last) return await step.decode();
    throw new Error('pictures: the last scale was never drawn.');
  }

  /** Frees all models, and what was recorded of samplings. */
  dispose(): void {
    for (const part of [this.plans, this.star, this.vqvae, this.text]) part.dispose();
  }
}

/** Opens the folders `star`, `vqvae` and `text` of a model, and its sampling.json if it has one. @throws the errors of their loaders, each naming what is wrong. */
export async function loadPipeline(read: ReadFile): Promise<Pipeline> {
  const inside =
    (folder: string): ReadFile =>
    (name) =>
      read(`${folder}/${name}`);
  // A folder need not have the file; what a reader says of a missing one differs from place to place.
  const written = await read('sampling.json').catch(() => undefined);
  const defaults = written ? parseSamplingDefaults(new TextDecoder().decode(written)) : {};
  const [star, vqvae, text] = await Promise.all([
    loadStar(inside('star')),
    loadVqvae(inside('vqvae')),
    loadTextEncoder(inside('text')),
  ]);
  return new Pipeline({ star, vqvae, text }, defaults);
}

/** The files of a pipeline's folder, by path. */
export async function savePipeline(
  { star, vqvae, text, defaults }: Pipeline,
  dtype: 'F32' | 'F16' = 'F32',
): Promise<Map<string, Uint8Array>> {
  const parts = {
    star: await saveStar(star, dtype),
    vqvae: await saveVqvae(vqvae, dtype),
    text: await saveTextEncoder(text, { dtype }),
  };
  const files = Object.entries(parts).flatMap(([folder, named]) =>
    [...named].map(([name, bytes]) => [`${folder}/${name}`, bytes] as const),
  );
  return new Map([...files, ...(Object.keys(defaults).length ? [samplingFile(defaults)] : [])]);
}

function takeRows({ states, mask, pooled }: TextFeatures, from: number, to: number): TextFeatures {
  const rows = (x: Tensor): Tensor => slice(x, 0, from, to);
  return { states: rows(states), mask: rows(mask), pooled: rows(pooled) };
}

function disposeFeatures({ states, mask, pooled }: TextFeatures): void {
  for (const tensor of [states, mask, pooled]) tensor.dispose();
}

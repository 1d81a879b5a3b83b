import { type Precision, type ReadFile, readText } from '@star-webgpu/tensor-webgpu';
import { loadStar, saveStar } from '@star-webgpu/star-transformer';
import { loadTextEncoder, saveTextEncoder, type TextEncoder } from '@star-webgpu/text-encoder';
import { loadVqvae, saveVqvae } from '@star-webgpu/vqvae';
import { checkModels } from './check-models.ts';
import { type EditedPicture, editPicture, type EditOptions } from './edit.ts';
import { finishedPictures, type Models, type ScaleStep } from './generate.ts';
import { generateFromPrompts, type PromptModels, type PromptOptions } from './generate-from-prompts.ts';
import type { Pictures } from './image.ts';
import { loadPart, ModelFolderError } from './model-folder.ts';
import { parseSamplingDefaults, type SamplingDefaults, samplingFile } from './options.ts';
import type { Prompt } from './prompts.ts';
import { SamplingPlans } from './sampling-plan.ts';

/** The models of one folder: from prompts to pictures. */
export class Pipeline implements PromptModels {
  readonly star: Models['star'];
  readonly vqvae: Models['vqvae'];
  readonly text: TextEncoder;
  readonly precision: Precision;
  readonly plans: SamplingPlans = new SamplingPlans();
  /** What this model is best drawn with, where a call does not say otherwise. */
  readonly defaults: SamplingDefaults;

  /** Takes over the models: they only serve from now on, and are freed with the pipeline. @throws ModelsError */
  constructor({ star, vqvae, text, precision = 'f32' }: PromptModels, defaults: SamplingDefaults = {}) {
    checkModels({ star, vqvae }, text.width);
    this.star = star.freeze();
    this.vqvae = vqvae.freeze();
    this.text = text;
    text.model.freeze();
    this.precision = precision;
    this.defaults = defaults;
  }

  /** Draws one picture a prompt, scale by scale; an empty prompt draws an unconditional picture, a blend one between two prompts. */
  generate(prompts: readonly Prompt[], options: PromptOptions = {}): AsyncGenerator<ScaleStep, void, undefined> {
    return generateFromPrompts(this, prompts, { ...this.defaults, ...options });
  }

  /** Draws a region of a picture anew by each prompt; see `editPicture`. */
  edit(edited: EditedPicture, options: EditOptions = {}): AsyncGenerator<ScaleStep, void, undefined> {
    return editPicture(this, edited, { ...this.defaults, ...options });
  }

  /** Draws one picture a prompt and gives the finished ones. */
  async pictures(prompts: readonly Prompt[], options: PromptOptions = {}): Promise<Pictures> {
    return finishedPictures(this, this.generate(prompts, options));
  }

  /** Frees all models, and what was recorded of samplings. */
  dispose(): void {
    for (const part of [this.plans, this.star, this.vqvae, this.text]) part.dispose();
  }
}

/** How `loadPipeline` keeps a model. */
export interface LoadPipelineOptions {
  /** f16 halves the memory of weights, keys and values; pictures come within half precision of those of f32, the default. */
  readonly precision?: Precision;
}

/** Opens the folders `star`, `vqvae` and `text` of a model, and its sampling.json if it has one. @throws ModelFolderError naming the file at fault; what the device says; ModelsError. */
export async function loadPipeline(read: ReadFile, { precision = 'f32' }: LoadPipelineOptions = {}): Promise<Pipeline> {
  const defaults = await loadDefaults(read);
  const [star, vqvae, text] = await Promise.all([
    loadPart(read, 'star', (files) => loadStar(files, { dtype: precision })),
    loadPart(read, 'vqvae', (files) => loadVqvae(files, { dtype: precision })),
    loadPart(read, 'text', (files) => loadTextEncoder(files, { dtype: precision })),
  ]);
  return new Pipeline({ star, vqvae, text, precision }, defaults);
}

async function loadDefaults(read: ReadFile): Promise<SamplingDefaults> {
  // A folder need not have the file; what a reader says of a missing one differs from place to place.
  const written = await read('sampling.json').catch(() => undefined);
  if (!written) return {};
  try {
    return parseSamplingDefaults(await readText(written));
  } catch (fault) {
    throw new ModelFolderError('sampling.json', fault);
  }
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

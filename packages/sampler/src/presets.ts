import { Star, type StarConfig, type StarPreset, starPresets } from '@star-webgpu/star-transformer';
import { type Precision, withParameters } from '@star-webgpu/tensor-webgpu';
import {
  initText,
  publishedTextConfig,
  type TextConfig,
  TextEncoder,
  Tokenizer,
  trainBpe,
} from '@star-webgpu/text-encoder';
import { publishedConfig, Vqvae, type VqvaeConfig } from '@star-webgpu/vqvae';
import type { PromptModels } from './generate-from-prompts.ts';
import { Pipeline } from './pipeline.ts';

/** Configs of the three models that a published size is made of. */
export interface PresetConfigs {
  readonly star: StarConfig;
  /** `vae_ch160v4096z32` with the preset's token maps. */
  readonly vqvae: VqvaeConfig;
  /** The CLIP text tower of Stable Diffusion 2.1. */
  readonly text: TextConfig;
}

/** The configs of a published size. */
export const presetConfigs = (name: StarPreset): PresetConfigs => ({
  star: starPresets[name],
  vqvae: { ...publishedConfig, patchNumbers: starPresets[name].patchNumbers },
  text: publishedTextConfig,
});

/** Tokens of the smallest vocabulary in CLIP's form: bytes, bytes at the end of a word, start and end. */
const byteVocabulary = 514;

/**
 * The models of a published size, with parameters as `withParameters` around says. The published vocabulary is not among them:
 * prompts are read byte by byte, in CLIP's form.
 */
export function presetModels(name: StarPreset): PromptModels {
  const { star, vqvae, text } = presetConfigs(name);
  const tokenizer = new Tokenizer(trainBpe([], { vocabSize: byteVocabulary }));
  return {
    star: new Star(star),
    vqvae: new Vqvae(vqvae),
    text: new TextEncoder(tokenizer, initText(text, { seed: 0 })),
  };
}

/** How `randomPipeline` makes its weights. */
export interface RandomPipelineOptions {
  /** Weights depend on it and on the preset. */
  readonly seed?: number;
  readonly precision?: Precision;
}

/** A pipeline of a published size with random weights, drawn on the device: for its time and memory; its pictures show nothing. */
export function randomPipeline(
  name: StarPreset,
  { seed = 0, precision = 'f32' }: RandomPipelineOptions = {},
): Pipeline {
  const models = withParameters({ values: { seed }, dtype: precision }, () => presetModels(name));
  return new Pipeline({ ...models, precision });
}

import { join } from 'node:path';
import { loadStar, Star, type StarConfig, starConfig } from '@star-webgpu/star-transformer';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import {
  ClipText,
  initText,
  loadTextEncoder,
  textConfig,
  TextEncoder,
  Tokenizer,
  trainBpe,
} from '@star-webgpu/text-encoder';
import { StarStage, type StarStageOptions } from '@star-webgpu/trainer';
import type { StarRun } from './config/star.ts';
import { captionsOf, type TrainingData } from './data.ts';
import { frozenModels } from './frozen-models.ts';
import { type RunLength, runLength } from './run-length.ts';
import type { Trained } from './trained.ts';
import { watchedDrawing } from './watched-drawing.ts';

/** Training of a transformer on a trained VQVAE, from nothing or from a model of another size of pictures. */
export async function starStage(config: StarRun, data: TrainingData): Promise<Trained> {
  const { seed } = config;
  const frozen = await frozenModels(config, data);
  const learning = config.text && (await learningText(config.text, config, data));
  const text = learning ?? frozen.text;
  const textWidth = text?.width ?? frozen.tokens!.text!.width;
  const { patchNumbers, codeWidth, codebookSize } = frozen.vqvae.config;
  const wanted = starConfig({ ...config.star, patchNumbers, codeWidth, codebookSize, textWidth });
  const star = config.from ? await transferred(config.from, wanted, seed) : new Star(wanted, { seed });
  const { tokens, sizes } = frozen;
  return {
    stage: new StarStage(
      { star, vqvae: frozen.vqvae, ...(text && { text }) },
      {
        ...stageOptions(config),
        progressive: config.progressive && progressiveOf(config.progressive, runLength(config, data, sizes)),
        trainText: learning !== undefined,
        freezeStar: config.textOnly ?? false,
        ...(tokens && { cache: tokens }),
      },
    ),
    sizes,
    tokens,
    ...(await watchedDrawing(config, { star, text, vqvae: frozen.whole })),
  };
}

/** What of a config is the stage's. */
function stageOptions(config: StarRun): Omit<StarStageOptions, 'trainText' | 'progressive'> {
  const { seed, captionDropout, labelSmoothing, recompute, keepTokens, scaleWeights, training } = config;
  const { accumulate } = training;
  return { seed, captionDropout, labelSmoothing, recompute, keepTokens, scaleWeights, accumulate };
}

/** When scales are added, in steps. */
function progressiveOf(
  { from, begin = 0, until, warmupSteps: warmup }: NonNullable<StarRun['progressive']>,
  { steps, warmupSteps }: RunLength,
): StarStageOptions['progressive'] {
  return { from, begin: Math.max(warmupSteps, begin * steps), end: until * steps, warmup };
}

/** The transformer of a model's folder for other scales. @throws Error where any other size differs. */
async function transferred(folder: string, wanted: StarConfig, seed: number): Promise<Star> {
  const { patchNumbers, dropPath } = wanted;
  const star = await loadStar(folderFiles(join(folder, 'star')), { changes: { patchNumbers, dropPath }, seed });
  const sizes = ['depth', 'width', 'heads', 'mlpRatio', 'textWidth', 'codeWidth', 'codebookSize'] as const;
  const faults = otherSizes(sizes, star.config, wanted);
  if (faults)
    throw new Error(
      `from must be a model of the same sizes, got ${faults}. Correct star, vqvaeFolder or textFolder, or begin with another model.`,
    );
  return star;
}

/** The text encoder that learns along: a new one, or that of the model that the run goes on from. */
async function learningText(
  sizes: NonNullable<StarRun['text']>,
  { from, seed }: StarRun,
  data: TrainingData,
): Promise<TextEncoder> {
  if (from === undefined) return newText(sizes, { captions: captionsOf(data), seed });
  const encoder = await loadTextEncoder(folderFiles(join(from, 'text')), { trainable: true });
  const { model } = encoder;
  const names = ['layers', 'width', 'heads', 'mlpWidth', 'positions'] as const;
  const faults = model instanceof ClipText ? otherSizes(names, model.config, sizes) : 'one of another kind';
  if (faults)
    throw new Error(`from must be a model with a text encoder of the sizes in text, got ${faults}. Correct text.`);
  return encoder;
}

/** Names sizes that are not the wanted ones; undefined where all are. */
function otherSizes<Name extends string>(
  names: readonly Name[],
  sizes: Readonly<Record<Name, number>>,
  wanted: Readonly<Record<Name, number>>,
): string | undefined {
  const others = names.filter((name) => sizes[name] !== wanted[name]);
  if (others.length === 0) return undefined;
  return others.map((name) => `${name} ${sizes[name]} instead of ${wanted[name]}`).join(', ');
}

/** A small text encoder with a vocabulary of the captions. */
function newText(
  { vocabSize, ...sides }: NonNullable<StarRun['text']>,
  { captions, seed }: { readonly captions: readonly string[]; readonly seed: number },
): TextEncoder {
  const tokenizer = new Tokenizer(trainBpe(captions, { vocabSize }));
  const { vocabSize: learnt, endId: eosTokenId } = tokenizer;
  const config = textConfig({ ...sides, vocabSize: learnt, eosTokenId, activation: 'quick_gelu' });
  return new TextEncoder(tokenizer, initText(config, { seed }));
}

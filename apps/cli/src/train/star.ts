import { Star, starConfig } from '@star-webgpu/star-transformer';
import { initText, textConfig, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import { StarStage } from '@star-webgpu/trainer';
import type { StarRun } from './config/star.ts';
import { captionsOf, type TrainingData } from './data.ts';
import { frozenModels } from './frozen-models.ts';
import { previewIn } from './preview.ts';
import type { Trained } from './trained.ts';

/** Training of a transformer from nothing, on a trained VQVAE. */
export async function starStage(config: StarRun, data: TrainingData): Promise<Trained> {
  const { seed, star, captionDropout, labelSmoothing } = config;
  const frozen = await frozenModels(config, data);
  const learning = config.text && newText(config.text, { captions: captionsOf(data), seed });
  const text = learning ?? frozen.text;
  const textWidth = text?.width ?? frozen.tokens!.text!.width;
  const { patchNumbers, codeWidth, codebookSize } = frozen.vqvae.config;
  const model = new Star(starConfig({ ...star, patchNumbers, codeWidth, codebookSize, textWidth }), { seed });
  const models = { star: model, vqvae: frozen.vqvae, ...(text && { text }) };
  const options = { seed, captionDropout, labelSmoothing, trainText: learning !== undefined };
  const { tokens, sizes } = frozen;
  return {
    stage: new StarStage(models, { ...options, ...(tokens && { cache: tokens }) }),
    sizes,
    tokens,
    ...(await previewIn(config, { star: model, text, vqvae: frozen.whole })),
  };
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

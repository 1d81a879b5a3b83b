import { Star, starConfig } from '@star-webgpu/star-transformer';
import { initText, TextEncoder, textConfig, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import type { SamplingDefaults } from '../options.ts';
import { Pipeline } from '../pipeline.ts';

const shared = { patchNumbers: [1, 3], codeWidth: 8, codebookSize: 16 };

/** A pipeline of the smallest models with initial weights, for tests: 6 x 6 pixels in two scales. */
export function tinyPipeline({
  textWidth = 8,
  positions = 6,
  defaults = {},
}: { readonly textWidth?: number; readonly positions?: number; readonly defaults?: SamplingDefaults } = {}): Pipeline {
  const json = trainBpe(['red apple', 'green pear'], { vocabSize: 520 });
  const sides = textConfig({
    width: 8,
    mlpWidth: 16,
    layers: 1,
    heads: 2,
    positions,
    vocabSize: 520,
    eosTokenId: 2,
  });
  const models = {
    star: new Star(starConfig({ ...shared, depth: 1, width: 16, heads: 2, textWidth })),
    vqvae: new Vqvae(
      vqvaeConfig({ ...shared, channels: 8, channelMultipliers: [1, 1], residualBlocks: 1, normGroups: 4 }),
    ),
    text: new TextEncoder(new Tokenizer(json), initText(sides, { seed: 1 })),
  };
  return new Pipeline(models, defaults);
}

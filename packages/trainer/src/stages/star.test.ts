import { Star, starConfig } from '@star-webgpu/star-transformer';
import { hashedValues, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { initText, textConfig, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { beforeAll, describe, expect, it } from 'vitest';
import { AdamW } from '../optimizer.ts';
import type { TrainingBatch } from '../stage.ts';
import { TrainStep } from '../step.ts';
import { StarStage, type StarStageOptions } from './star.ts';

beforeAll(() => testDevice());

const captions = ['red apple', 'green pear', 'a very long name of a fruit that nobody ever saw'];

/** Three pictures of 12 x 12 pixels, one a caption. */
const batch: TrainingBatch = {
  images: hashedValues('pictures', 3 * 3 * 144),
  shape: [3, 3, 12, 12],
  captions,
  keys: ['a', 'b', 'c'],
  cursor: { epoch: 0, step: 1 },
};

function stageWith(options: Partial<StarStageOptions> = {}): StarStage {
  const vqvae = new Vqvae(
    vqvaeConfig({
      channels: 4,
      channelMultipliers: [1, 1],
      normGroups: 2,
      residualBlocks: 1,
      codebookSize: 24,
      codeWidth: 8,
      patchNumbers: [1, 3, 6],
    }),
    { seed: 3 },
  );
  const tokenizer = new Tokenizer(trainBpe(captions, { vocabSize: 520 }));
  const text = initText(
    textConfig({
      layers: 1,
      width: 16,
      heads: 2,
      mlpWidth: 32,
      positions: 12,
      vocabSize: tokenizer.vocabSize,
      eosTokenId: tokenizer.endId,
      activation: 'quick_gelu',
    }),
    { seed: 4 },
  );
  const star = new Star(
    starConfig({
      depth: 2,
      width: 64,
      heads: 2,
      dropPath: 0,
      patchNumbers: [1, 3, 6],
      codeWidth: 8,
      codebookSize: 24,
      textWidth: 16,
    }),
    { seed: 5 },
  );
  const models = { star, text: new TextEncoder(tokenizer, text), vqvae };
  return new StarStage(models, { seed: 1, captionDropout: 0, labelSmoothing: 0, trainText: true, ...options });
}

/** Losses of some steps on the same three pictures. */
async function lossesOf(stage: StarStage, steps: number, captionsShown = captions): Promise<number[]> {
  const optimizer = new AdamW(stage.parameters());
  const step = new TrainStep(stage, optimizer);
  const losses: number[] = [];
  const numbers = { learningRate: 5e-3, weightDecay: 0, clipNorm: 2 };
  for (let i = 0; i < steps; i++)
    losses.push((await step.run([{ ...batch, captions: captionsShown }], { ...numbers, step: i })).loss);
  step.dispose();
  optimizer.dispose();
  return losses;
}

describe('StarStage', () => {
  it('starts near the loss of guessing and learns the tokens of three noisy pictures', async () => {
    const losses = await lossesOf(stageWith(), 100);
    expect(Math.abs(losses[0]! / Math.log(24) - 1)).toBeLessThan(0.1);
    expect(losses.at(-1)!).toBeLessThan(0.8);
  });

  it('gives the same losses with hardly any memory for tokens', async () => {
    expect(await lossesOf(stageWith({ tokenBytes: 1 }), 3)).toEqual(await lossesOf(stageWith(), 3));
  });

  it('does not tell captions apart once all of them are dropped', async () => {
    const dropped = await lossesOf(stageWith({ captionDropout: 1 }), 1);
    expect(dropped).toEqual(await lossesOf(stageWith(), 1, ['', '', '']));
  });

  it('leaves a frozen text tower out of what is trained', () => {
    const names = [...stageWith({ trainText: false }).parameters().keys()];
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => name.startsWith('text.'))).toEqual([]);
  });
});

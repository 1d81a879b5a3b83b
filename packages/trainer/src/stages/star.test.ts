import { Star, starConfig } from '@star-webgpu/star-transformer';
import { createDevice, currentDevice, LossScale, type Precision, setDevice } from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';
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
async function lossesOf(
  stage: StarStage,
  steps: number,
  { shown = captions, precision = 'f32' }: { shown?: readonly string[]; precision?: Precision } = {},
): Promise<number[]> {
  const lossScale = precision === 'f16' ? new LossScale() : undefined;
  const optimizer = new AdamW(stage.parameters(), { ...(lossScale && { lossScale }) });
  const step = new TrainStep(stage, optimizer, precision);
  const losses: number[] = [];
  const numbers = { learningRate: 5e-3, weightDecay: 0, clipNorm: 2 };
  for (let i = 0; i < steps; i++)
    losses.push((await step.run([{ ...batch, captions: shown }], { ...numbers, step: i })).loss);
  step.dispose();
  optimizer.dispose();
  lossScale?.dispose();
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
    expect(dropped).toEqual(await lossesOf(stageWith(), 1, { shown: ['', '', ''] }));
  });

  it('leaves a frozen text tower out of what is trained', () => {
    const names = [...stageWith({ trainText: false }).parameters().keys()];
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => name.startsWith('text.'))).toEqual([]);
  });

  it('in half precision on a device without half floats, comes within 1% of the losses of f32', async () => {
    const usual = currentDevice();
    const { adapter, close } = await openGpu();
    const device = await createDevice(adapter, { wait: throttledWait, packedHalves: true, onDestroy: close });
    expect([device.profile.f16, device.gpu.features.has('shader-f16')]).toEqual([false, false]);
    setDevice(device);
    const half = await lossesOf(stageWith(), 20, { precision: 'f16' });
    const full = await lossesOf(stageWith(), 20);
    device.destroy();
    setDevice(usual);
    for (const [step, loss] of full.entries())
      expect(Math.abs(half[step]! / loss - 1), `step ${step}`).toBeLessThan(0.01);
    expect(half.at(-1)).not.toBe(full.at(-1));
  });
});

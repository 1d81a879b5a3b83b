import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Star, starConfig } from '@star-webgpu/star-transformer';
import { currentDevice } from '@star-webgpu/tensor-webgpu';
import { hashedValues, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { initText, textConfig, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import { latentSize, type MapSize, Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AdamW } from './optimizer.ts';
import type { TrainingBatch } from './stage.ts';
import { StarStage } from './stages/star.ts';
import { VqvaeStage } from './stages/vqvae.ts';
import { TrainStep } from './step.ts';
import { train } from './train.ts';

let folder: string;
beforeAll(() => testDevice());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'not-square-'));
});
afterEach(() => rm(folder, { recursive: true }));

const shared = { patchNumbers: [1, 2, 4], codeWidth: 8, codebookSize: 24 };
const newVqvae = (seed: number): Vqvae =>
  new Vqvae(vqvaeConfig({ ...shared, channels: 4, channelMultipliers: [1, 1], normGroups: 2, residualBlocks: 1 }), {
    seed,
  });

/** Two pictures, of two pixels a token along each side. */
function batchOf(name: string, { height, width }: MapSize, step: number): TrainingBatch {
  const shape = [2, 3, 2 * height, 2 * width] as const;
  const images = hashedValues(name, 2 * 3 * shape[2] * shape[3]);
  return { images, shape, captions: ['red', 'green'], keys: [`${name}1`, `${name}2`], cursor: { epoch: 0, step } };
}

const sizes = (['1:1', '16:9', '9:16'] as const).map((ratio) => latentSize(shared.patchNumbers, ratio));

/** Batches of all sizes in turn, of the same pictures again and again. */
async function* batchesFrom({ step }: TrainingBatch['cursor']): AsyncGenerator<TrainingBatch> {
  for (let at = step; ; at++) yield batchOf(`batch ${at % 3}`, sizes[at % 3]!, at + 1);
}

function newStar(): StarStage {
  const tokenizer = new Tokenizer(trainBpe(['red', 'green'], { vocabSize: 520 }));
  const { vocabSize, endId: eosTokenId } = tokenizer;
  const sides = { layers: 1, width: 16, heads: 2, mlpWidth: 32, positions: 6, activation: 'quick_gelu' } as const;
  const text = new TextEncoder(tokenizer, initText(textConfig({ ...sides, vocabSize, eosTokenId }), { seed: 4 }));
  const config = starConfig({ ...shared, depth: 2, width: 32, heads: 2, dropPath: 0, textWidth: 16 });
  const models = { star: new Star(config, { seed: 5 }), text, vqvae: newVqvae(3) };
  return new StarStage(models, { seed: 1, captionDropout: 0, labelSmoothing: 0, trainText: true });
}

/** Losses of training steps, each with the plans of the steps before it or with one of its own. */
async function lossesOf(steps: number, plans: 'kept' | 'new'): Promise<number[]> {
  const stage = newStar();
  const optimizer = new AdamW(stage.parameters());
  let step = new TrainStep(stage, optimizer);
  const losses: number[] = [];
  for await (const batch of batchesFrom({ epoch: 0, step: 0 })) {
    if (losses.length === steps) break;
    if (plans === 'new') {
      step.dispose();
      step = new TrainStep(stage, optimizer);
    }
    const numbers = { step: losses.length, learningRate: 1e-2, weightDecay: 0, clipNorm: 2 };
    losses.push((await step.run([batch], numbers)).loss);
  }
  step.dispose();
  optimizer.dispose();
  return losses;
}

describe('training on pictures of several ratios', () => {
  it('keeps a plan for each: a wide and a tall batch have as many tokens, and never share one', async () => {
    const losses = await lossesOf(9, 'kept');
    expect(losses).toEqual(await lossesOf(9, 'new'));
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
  });

  it('takes hardly more memory than training on one: the plans take turns in it', async () => {
    const bytesOf = async (some: readonly MapSize[]): Promise<number> => {
      const model = newVqvae(1);
      const loss = { seed: 1, absoluteWeight: 1, quantizeWeight: 0.25, reviveEvery: 0, reviveUntil: 0 };
      const stage = new VqvaeStage(model, loss);
      const optimizer = new AdamW(stage.parameters());
      const step = new TrainStep(stage, optimizer);
      const before = currentDevice().stats().liveBytes;
      for (const [i, size] of some.entries())
        await step.run([batchOf('large', { height: 8 * size.height, width: 8 * size.width }, i)], {
          step: i,
          learningRate: 1e-3,
          weightDecay: 0,
          clipNorm: 1,
        });
      const taken = currentDevice().stats().liveBytes - before;
      step.dispose();
      optimizer.dispose();
      model.dispose();
      return taken;
    };
    const one = await bytesOf(sizes.slice(0, 1));
    const all = await bytesOf(sizes);
    // results, inputs and constants of each are its own; without sharing it would be three times as much
    expect(all / one).toBeLessThan(1.3);
  });

  it('learns the tokens of all of them', async () => {
    const losses = await lossesOf(240, 'kept');
    expect(Math.abs(losses[0]! / Math.log(24) - 1)).toBeLessThan(0.1);
    for (const loss of losses.slice(-3)) expect(loss).toBeLessThan(1);
  });

  it('stopped and run again, gives the weights of the run that never stopped, bit for bit', async () => {
    const run = async (name: string, steps: number, seed: number): Promise<unknown> => {
      const model = newVqvae(seed);
      const schedule = { kind: 'cos', peak: 1e-3, warmup: 2, start: 0.1, end: 0.1, steps: 8, weightDecay: 0 } as const;
      const controller = new AbortController();
      await train({
        stage: new VqvaeStage(model, {
          seed: 1,
          absoluteWeight: 1,
          quantizeWeight: 0.25,
          reviveEvery: 3,
          reviveUntil: 9,
        }),
        batches: batchesFrom,
        schedule: { ...schedule, weightDecayEnd: 0 },
        seed: 1,
        clipNorm: 1,
        folder: join(folder, name),
        saveEvery: 3,
        keep: 2,
        signal: controller.signal,
        onStep: ({ step }) => void (step === steps && controller.abort()),
      });
      const weights = [...(await model.hostWeights())].map(([key, { bytes }]) => [key, Buffer.from(bytes)]);
      model.dispose();
      return weights;
    };
    const whole = await run('whole', 8, 1);
    await run('parts', 5, 1);
    expect(await run('parts', 8, 2)).toEqual(whole);
  });
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Star, starConfig } from '@star-webgpu/star-transformer';
import { currentDevice, folderBytes } from '@star-webgpu/tensor-webgpu';
import { hashedValues, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { initText, textConfig, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import { saveVqvae, Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { AdamW } from '../optimizer.ts';
import type { TrainingBatch } from '../stage.ts';
import { TrainStep } from '../step.ts';
import { type StepReport, train } from '../train.ts';
import { RefinerStage, type RefinerStageOptions } from './refiner.ts';
import { modelFolder, type StarModels } from './star-inputs.ts';
import { StarStage } from './star.ts';

beforeAll(() => testDevice());

const captions = ['red apple', 'green pear', 'a very long name of a fruit that nobody ever saw'];
const shared = { patchNumbers: [1, 3, 6], codeWidth: 8, codebookSize: 24 };
const refined = 9 + 36;

/** Pictures of 12 x 12 pixels. */
function batchOf(name: string, step: number): TrainingBatch {
  const images = hashedValues(name, 3 * 3 * 144);
  const keys = captions.map((_, i) => `${name} ${i}`);
  return { images, shape: [3, 3, 12, 12], captions, keys, cursor: { epoch: 0, step } };
}

function newModels(
  refiner: { depth: number; sampleFrom: number } | undefined = { depth: 2, sampleFrom: 1 },
): Required<StarModels> & { readonly vqvae: Vqvae } {
  const tokenizer = new Tokenizer(trainBpe(captions, { vocabSize: 520 }));
  const { vocabSize, endId: eosTokenId } = tokenizer;
  const sides = { layers: 1, width: 16, heads: 2, mlpWidth: 32, positions: 12, activation: 'quick_gelu' } as const;
  const config = {
    ...shared,
    depth: 2,
    width: 64,
    heads: 2,
    dropPath: 0.1,
    textWidth: 16,
    ...(refiner && { refiner }),
  };
  return {
    star: new Star(starConfig(config), { seed: 5 }),
    text: new TextEncoder(tokenizer, initText(textConfig({ ...sides, vocabSize, eosTokenId }), { seed: 4 })),
    vqvae: new Vqvae(
      vqvaeConfig({ ...shared, channels: 4, channelMultipliers: [1, 1], normGroups: 2, residualBlocks: 1 }),
      { seed: 3 },
    ),
  };
}

const newStage = (models: StarModels, options: Partial<RefinerStageOptions> = {}): RefinerStage =>
  new RefinerStage(models, { seed: 1, captionDropout: 0.1, ...options });

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

describe('RefinerStage', () => {
  it('learns tokens of three noisy pictures, and moves nothing but the refiner, by its bytes', async () => {
    const models = newModels();
    const bytes = async (): Promise<Map<string, Uint8Array>> => {
      const [stars, texts] = [await models.star.hostWeights(), await models.text.model.hostWeights()];
      const rest = new Map([...stars, ...[...texts].map(([name, weights]) => [`text.${name}`, weights] as const)]);
      return new Map([
        ...[...rest].map(([name, weights]) => [name, weights.bytes] as const),
        ...(await saveVqvae(models.vqvae)),
      ]);
    };
    const before = await bytes();
    const stage = newStage(models);
    const optimizer = new AdamW(stage.parameters());
    const step = new TrainStep(stage, optimizer);
    const numbers = { learningRate: 1e-3, weightDecay: 0.05, clipNorm: 2 };
    const costs: number[] = [];
    for (let i = 0; i < 250; i++)
      costs.push((await step.run([batchOf('few', i)], { ...numbers, step: i })).metrics['openCost']!);
    expect(Math.abs(costs[0]! / Math.log(25) - 1)).toBeLessThan(0.1);
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    // How many tokens are open varies from step to step, and with it what can be known.
    expect(mean(costs.slice(-20))).toBeLessThan(1.2);

    const after = await bytes();
    const own = new Set(models.star.refiner!.namedTensors().keys());
    for (const [name, values] of before) expect(sameBytes(after.get(name)!, values), name).toBe(!own.has(name));
    step.dispose();
    optimizer.dispose();
  });

  it('fixes each token of a picture by its own chance, the same again for the same draw', async () => {
    const stage = newStage(newModels());
    const shares: number[] = [];
    for (let draw = 0; draw < 200; draw++) {
      const { known_Bl, targets_Bl } = await stage.inputs(batchOf('few', 0), draw);
      expect(known_Bl.shape).toEqual([3, refined]);
      const pairs = [...known_Bl.values].map((known, i) => [known, targets_Bl.values[i]!] as const);
      expect(pairs.every(([known, target]) => (known === 24) !== (target === 24))).toBe(true);
      for (let b = 0; b < 3; b++)
        shares.push(pairs.slice(b * refined, (b + 1) * refined).filter(([known]) => known < 24).length / refined);
    }
    // arccos(r) / (pi/2) has mean 2 / pi and a standard deviation of 0.24; 600 pictures were drawn.
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    expect(Math.abs(mean - 2 / Math.PI)).toBeLessThan(0.04);
    expect(Math.min(...shares)).toBeLessThan(0.15);
    expect(Math.max(...shares)).toBeGreaterThan(0.9);
    const again = await newStage(newModels()).inputs(batchOf('few', 0), 7);
    expect(again).toEqual(await stage.inputs(batchOf('few', 0), 7));
  });

  it('stopped and run again, gives the refiner of the run that never stopped, bit for bit, and saves no more than it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'refiner-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const schedule = {
      kind: 'cos',
      peak: 1e-3,
      warmup: 2,
      start: 0.1,
      end: 0.1,
      steps: 8,
      weightDecay: 0.05,
      weightDecayEnd: 0.05,
    } as const;
    async function* batches({ step }: TrainingBatch['cursor']): AsyncGenerator<TrainingBatch> {
      for (let at = step; ; at++) yield batchOf(`batch ${at % 3}`, at + 1);
    }
    const run = async (name: string, stop?: number): Promise<Map<string, Uint8Array>> => {
      const [models, controller] = [newModels(), new AbortController()];
      const onStep = ({ step }: StepReport): void => {
        if (step === stop) controller.abort();
      };
      const stage = newStage(models, { modelId: 'a' });
      const rest = { seed: 1, clipNorm: 1, saveEvery: 100, keep: 2, onStep, signal: controller.signal };
      await train({ stage, batches, schedule, folder: join(folder, name), ...rest });
      return folderBytes(modelFolder(models));
    };
    const whole = await run('whole');
    await run('parts', 3);
    for (const [name, bytes] of await run('parts')) expect(sameBytes(bytes, whole.get(name)!), name).toBe(true);
    expect(await readdir(join(folder, 'parts', 'step-00000008', 'model'))).toEqual(['refiner.safetensors']);
    const other = newStage(newModels(), { modelId: 'b' });
    const options = { stage: other, batches, schedule, folder: join(folder, 'whole'), seed: 1 };
    await expect(train({ ...options, clipNorm: 1, saveEvery: 100, keep: 2 })).rejects.toThrow(
      'train: the checkpoint must be of model b, got one of a. Use another folder, or the model that the run began with.',
    );
  });

  it('leaves as many live buffers after 40 steps as after ten', async () => {
    const stage = newStage(newModels());
    const optimizer = new AdamW(stage.parameters());
    const step = new TrainStep(stage, optimizer);
    const live: number[] = [];
    for (let i = 0; i < 40; i++) {
      await step.run([batchOf('few', i)], { learningRate: 1e-3, weightDecay: 0, clipNorm: 1, step: i });
      live.push(currentDevice().stats().liveBuffers);
    }
    expect(live[39]).toBe(live[9]);
    step.dispose();
    optimizer.dispose();
  });

  it('wants a transformer with a refiner, which the stage of the transformer leaves alone', () => {
    const without = newModels(undefined);
    expect(() =>
      newStage({ ...without, star: new Star(starConfig({ ...without.star.config, refiner: undefined! })) }),
    ).toThrow('RefinerStage: the transformer must have a refiner, got none. Give its config a refiner.');
    const models = newModels();
    const trained = new StarStage(models, {
      seed: 1,
      captionDropout: 0,
      labelSmoothing: 0,
      trainText: false,
    }).parameters();
    const own = [...models.star.refiner!.namedTensors('star.').keys()];
    expect([...trained.keys()].filter((name) => own.includes(name))).toEqual([]);
    expect(trained.size + own.length).toBe(models.star.namedParameters().size);
  });
});

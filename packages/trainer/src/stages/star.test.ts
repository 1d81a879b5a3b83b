import { Star, starConfig } from '@star-webgpu/star-transformer';
import {
  add,
  backward,
  concat,
  createDevice,
  currentDevice,
  Device,
  LossScale,
  mul,
  type Precision,
  profileOf,
  reshape,
  setDevice,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';
import { expectClose, hashedValues, relativeError, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { initText, textConfig, TextEncoder, Tokenizer, trainBpe } from '@star-webgpu/text-encoder';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { beforeAll, describe, expect, it } from 'vitest';
import { evaluateStage } from '../evaluate.ts';
import { AdamW } from '../optimizer.ts';
import type { Stage, TrainingBatch } from '../stage.ts';
import { TrainStep } from '../step.ts';
import { StarStage, type StarStageOptions } from './star.ts';
import { VqvaeStage } from './vqvae.ts';

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

const vqvaeStage = (): VqvaeStage =>
  new VqvaeStage(
    new Vqvae(
      vqvaeConfig({
        channels: 8,
        channelMultipliers: [1, 2],
        normGroups: 4,
        residualBlocks: 1,
        codebookSize: 24,
        codeWidth: 8,
        patchNumbers: [1, 3, 6],
      }),
      { seed: 3 },
    ),
    { seed: 1, absoluteWeight: 1, quantizeWeight: 0.25, reviveEvery: 0, reviveUntil: 0 },
  );

/** A device that asked for no limits of its own, as a page gets it. */
async function smallDevice(): Promise<Device> {
  const { adapter, close } = await openGpu();
  const wanted: readonly GPUFeatureName[] = ['subgroups', 'shader-f16'];
  const gpu = await adapter.requestDevice({ requiredFeatures: wanted.filter((name) => adapter.features.has(name)) });
  const { limits } = gpu;
  expect([limits.maxStorageBuffersPerShaderStage, limits.maxStorageBufferBindingSize]).toEqual([8, 2 ** 27]);
  expect([limits.maxComputeWorkgroupStorageSize, limits.maxComputeInvocationsPerWorkgroup]).toEqual([16_384, 256]);
  return new Device(gpu, profileOf(adapter), { wait: throttledWait, onDestroy: close });
}

/** Runs something on a device of its own, and ends it. */
async function onDevice<T>(device: Device, run: () => Promise<T>): Promise<T> {
  const usual = currentDevice();
  setDevice(device);
  try {
    return await run();
  } finally {
    device.destroy();
    setDevice(usual);
  }
}

/** Losses of some steps on the same three pictures. */
async function lossesOf(
  stage: Stage,
  steps: number,
  {
    shown = captions,
    precision = 'f32',
    onStep,
  }: { shown?: readonly string[]; precision?: Precision; onStep?: () => Promise<void> } = {},
): Promise<number[]> {
  const lossScale = precision === 'f16' ? new LossScale() : undefined;
  const optimizer = new AdamW(stage.parameters(), { ...(lossScale && { lossScale }) });
  const step = new TrainStep(stage, optimizer, { precision });
  const losses: number[] = [];
  const numbers = { learningRate: 5e-3, weightDecay: 0, clipNorm: 2 };
  for (let i = 0; i < steps; i++) {
    losses.push((await step.run([{ ...batch, captions: shown }], { ...numbers, step: i })).loss);
    await onStep?.();
  }
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

  it('measures each scale: weighted by their tokens, the means are those of all', async () => {
    const stage = stageWith();
    const optimizer = new AdamW(stage.parameters());
    const step = new TrainStep(stage, optimizer);
    const numbers = { learningRate: 5e-3, weightDecay: 0, clipNorm: 2, step: 0 };
    const { loss, metrics } = await step.run([batch], numbers);
    step.dispose();
    optimizer.dispose();
    const tokens = [1, 9, 36];
    const weighted = (name: string): number =>
      tokens.reduce((sum, count, scale) => sum + (count / 46) * metrics[`${name}/${scale + 1}`]!, 0);
    expect(Math.abs(weighted('scaleLoss') / loss - 1)).toBeLessThan(1e-5);
    expect(Math.abs(weighted('scaleAccuracy') - metrics['accuracy']!)).toBeLessThan(1e-6);
    expect(metrics['lastScale']).toBe(metrics['scaleLoss/3']);
    expect(Object.keys(metrics)).not.toContain('scaleLoss/4');
  });

  it('is evaluated without dropping captions or branches, the same each time, as means over pictures', async () => {
    const cut = (first: number, last: number): TrainingBatch => ({
      ...batch,
      images: batch.images.slice(first * 432, last * 432),
      shape: [last - first, 3, 12, 12],
      captions: captions.slice(first, last),
      keys: batch.keys.slice(first, last),
    });
    async function* parts(...sizes: readonly TrainingBatch[]): AsyncGenerator<TrainingBatch> {
      yield* sizes;
    }
    const whole = await evaluateStage(stageWith({ captionDropout: 1 }), parts(batch));
    const split = await evaluateStage(stageWith(), parts(cut(0, 2), cut(2, 3)));
    expect(Object.keys(split)).toEqual(Object.keys(whole));
    for (const [name, value] of Object.entries(whole)) expect(Math.abs(split[name]! - value)).toBeLessThan(1e-5);
    expect(Math.abs(whole['loss']! - (await lossesOf(stageWith(), 1))[0]!)).toBeLessThan(1e-5);
  });

  it('recomputes blocks to the same losses, bit for bit', async () => {
    expect(await lossesOf(stageWith({ recompute: true }), 3)).toEqual(await lossesOf(stageWith(), 3));
  });

  it('leaves a frozen text tower out of what is trained', () => {
    const names = [...stageWith({ trainText: false }).parameters().keys()];
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => name.startsWith('text.'))).toEqual([]);
  });

  it('in half precision on a device without half floats, comes within 1% of the losses of f32', async () => {
    const { adapter, close } = await openGpu();
    const device = await createDevice(adapter, { wait: throttledWait, packedHalves: true, onDestroy: close });
    expect([device.profile.f16, device.gpu.features.has('shader-f16')]).toEqual([false, false]);
    const [half, full] = await onDevice(device, async () => [
      await lossesOf(stageWith(), 20, { precision: 'f16' }),
      await lossesOf(stageWith(), 20),
    ]);
    for (const [step, loss] of full!.entries())
      expect(Math.abs(half![step]! / loss - 1), `step ${step}`).toBeLessThan(0.01);
    expect(half!.at(-1)).not.toBe(full!.at(-1));
  });
});

describe('StarStage on a part of the tokens', () => {
  /** Stages of 1, 10 and 46 tokens: scale 0 up to step 1, then scale 1, and all from step 4. */
  const progressive = { from: 0, begin: 1, end: 4, warmup: 2 };

  it('adds scales one by one: those to come have no gradient, and once all are there the loss is the plain one', async () => {
    const stage = stageWith({ progressive });
    const parameters = stage.parameters();
    const table = parameters.get('star.lvl_embed.weight')!;
    const before = await table.data();
    const moved: boolean[][] = [];
    const losses = await lossesOf(stage, 5, {
      onStep: async () => {
        const now = await table.data();
        moved.push(
          [0, 1, 2].map((scale) => now.slice(64 * scale, 64 * scale + 64).some((v, i) => v !== before[64 * scale + i])),
        );
      },
    });
    expect(moved).toEqual([
      [true, false, false],
      [true, false, false],
      [true, true, false],
      [true, true, false],
      [true, true, true],
    ]);
    // each token weighs 1/46; an untrained model's costs are near ln 24
    expect(Math.abs(losses[0]! / (Math.log(24) / 46) - 1)).toBeLessThan(0.1);
    const plain = stageWith();
    const inputs = async (of: StarStage, draw: number): Promise<string[]> => Object.keys(await of.inputs(batch, draw));
    expect(await inputs(stage, 4)).toEqual(await inputs(plain, 4));
    expect(await inputs(stage, 3)).toContain('shares_S');
  });

  it('weighs a scale that was just added by the steps since, and counts batches as steps where several make one', async () => {
    const weights = async (accumulate: number): Promise<(number | undefined)[]> => {
      const stage = stageWith({ progressive, accumulate });
      const all = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7, 8].map((draw) => stage.inputs(batch, draw)));
      // scales of 1, 9 and 36 tokens
      return all.map(
        ({ shares_S }) => shares_S && (shares_S.values.at(-1)! * 46) / [1, 9, 36][shares_S.values.length - 1]!,
      );
    };
    const rounded = async (accumulate: number): Promise<(number | undefined)[]> =>
      (await weights(accumulate)).map((weight) => weight && Number(weight.toFixed(6)));
    expect(await rounded(1)).toEqual([1, 1, 0.5, 1, undefined, undefined, undefined, undefined, undefined]);
    expect(await rounded(2)).toEqual([1, 1, 1, 1, 0.5, 0.5, 1, 1, undefined]);
  });

  it('leaves tokens of the last scale out: the loss is the mean of those that are kept', async () => {
    const kept = stageWith({ keepTokens: 30 });
    const { targets_BL, places_l } = await kept.inputs(batch, 0);
    expect([targets_BL.shape, places_l!.shape]).toEqual([[3, 30], [30]]);
    const losses = await lossesOf(kept, 40);
    // untrained, it is near that of guessing; learning goes on over other tokens each time
    expect(Math.abs(losses[0]! / Math.log(24) - 1)).toBeLessThan(0.1);
    expect(losses.at(-1)!).toBeLessThan(0.7 * losses[0]!);
    expect(await lossesOf(stageWith({ keepTokens: 46 }), 2)).toEqual(await lossesOf(stageWith(), 2));
  });
});

describe('StarStage with weights by scale', () => {
  /** Loss, mean cost of each scale, and the gradients of a batch. */
  async function measured(
    options: Partial<StarStageOptions>,
  ): Promise<{ loss: number; scales: number[]; gradients: Tensor[] }> {
    const stage = stageWith(options);
    const inputs = Object.entries(await stage.inputs(batch, 0)).map(([name, { values, shape }]) => [
      name,
      tensor(values, shape, { dtype: values instanceof Uint32Array ? 'u32' : 'f32' }),
    ]);
    const parameters = [...stage.parameters().values()];
    for (const parameter of parameters) parameter.requiresGrad = true;
    const { loss, metrics } = stage.forward(Object.fromEntries(inputs), { height: 12, width: 12 });
    const gradients = backward(loss, parameters);
    return { loss: (await loss.data())[0]!, scales: [...(await metrics.scaleLoss!.data())], gradients };
  }

  const joined = (tensors: readonly Tensor[]): Tensor =>
    concat(
      tensors.map((each) => reshape(each, [each.size])),
      0,
    );

  it('counts the mean cost of each scale by its tokens and their weights, and gradients with it', async () => {
    // counts of 1, 9 and 36 tokens, moved by as much to both sides; 46 each
    const plain = await measured({});
    const more = await measured({ scaleWeights: [1.5, 14.5 / 9, 30 / 36] });
    const less = await measured({ scaleWeights: [0.5, 3.5 / 9, 42 / 36] });
    const [a, b, c] = plain.scales as [number, number, number];
    expect(Math.abs(plain.loss - (a + 9 * b + 36 * c) / 46)).toBeLessThan(1e-5);
    expect(Math.abs(more.loss - (1.5 * a + 14.5 * b + 30 * c) / 46)).toBeLessThan(1e-5);
    const middle = more.gradients.map((gradient, i) => mul(add(gradient, less.gradients[i]!), 0.5));
    await expectClose(joined(middle), joined(plain.gradients), 1e-6);
    expect(relativeError(await joined(more.gradients).data(), await joined(plain.gradients).data())).toBeGreaterThan(
      0.05,
    );
    // only proportions count
    expect((await measured({ scaleWeights: [7, 7, 7] })).loss).toBeCloseTo(plain.loss, 5);
  });

  it('refuses weights that do not fit the scales', () => {
    const refused =
      (scaleWeights: number[]): (() => StarStage) =>
      () =>
        stageWith({ scaleWeights });
    expect(refused([1, 2])).toThrow(
      'scaleWeights must be 3 numbers above 0, one for each of the scales 1, 3, 6, got 1, 2.',
    );
    expect(refused([1, 0, 2])).toThrow('got 1, 0, 2.');
    expect(refused([])).toThrow('got none.');
  });
});

describe('whole training steps within the limits that WebGPU grants everywhere', () => {
  it('of a transformer with its text tower, and of a VQVAE, give the losses that they give elsewhere', async () => {
    const run = async (): Promise<number[]> => [
      ...(await lossesOf(stageWith(), 3)),
      ...(await lossesOf(stageWith(), 1, { precision: 'f16' })),
      ...(await lossesOf(vqvaeStage(), 3)),
    ];
    const wanted = await run();
    const got = await onDevice(await smallDevice(), run);
    // one dispatch is another's two parts: sums have the same order, but the compiler may join other multiplications and additions
    for (const [i, loss] of wanted.entries()) expect(Math.abs(got[i]! / loss - 1), `loss ${i}`).toBeLessThan(1e-4);
  });
});

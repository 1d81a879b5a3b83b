import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  add,
  averagePool2d,
  backward,
  detach,
  LossScale,
  mean,
  mul,
  neg,
  permute,
  relu,
  scope,
  square,
  sub,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import {
  describeHalves,
  expectClose,
  hashedValues,
  relativeError,
  testDevice,
  valuesOf,
} from '@star-webgpu/tensor-webgpu/testing';
import { Discriminator, Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AdamW } from '../optimizer.ts';
import { OpposedAdamW } from '../opposed-adamw.ts';
import type { TrainingBatch } from '../stage.ts';
import { type StepReport, train, type TrainOptions } from '../train.ts';
import type { PerceptualLoss } from './picture-loss.ts';
import { VqvaeStage, type VqvaeStageOptions } from './vqvae.ts';

let folder: string;
beforeAll(() => testDevice());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vqvae-stage-'));
});
afterEach(() => rm(folder, { recursive: true }));

const config = vqvaeConfig({
  channels: 8,
  channelMultipliers: [1, 2],
  normGroups: 4,
  residualBlocks: 1,
  codebookSize: 16,
  codeWidth: 8,
  patchNumbers: [1, 2, 5],
});

const [B, H, W] = [3, 10, 10];
const images = hashedValues('images', B * 3 * H * W);

/** Batches that depend on their place only. */
async function* batchesFrom({ step }: TrainingBatch['cursor']): AsyncGenerator<TrainingBatch> {
  for (let at = step; ; at++)
    yield {
      images: hashedValues(`batch/${at % 5}`, images.length),
      shape: [B, 3, H, W],
      captions: ['a', 'b', 'c'],
      keys: ['a', 'b', 'c'].map((key) => `${at}${key}`),
      cursor: { epoch: 0, step: at + 1 },
    };
}

/** Differences of pictures that are looked at from afar. */
const blurred: PerceptualLoss = {
  weight: 0.7,
  distance: (got, want) =>
    mean(square(sub(...([got, want].map((x) => averagePool2d(x, { size: 3, stride: 2 })) as [Tensor, Tensor]))), {
      axis: [1, 2, 3],
    }),
};

interface Trained {
  readonly model: Vqvae;
  readonly discriminator: Discriminator;
  readonly stage: VqvaeStage;
}

/** A stage whose discriminator takes part from a batch on. */
function trained(from: number, more: Partial<VqvaeStageOptions> = {}): Trained {
  const model = new Vqvae(config, { seed: 1 });
  const discriminator = new Discriminator({ channels: 4, layers: 1 }, { seed: 2 });
  const adversary = { discriminator, weight: 0.8, from };
  const losses = { absoluteWeight: 1, squaredWeight: 0.5, quantizeWeight: 0.25, perceptual: blurred };
  const stage = new VqvaeStage(model, { seed: 1, ...losses, reviveEvery: 0, reviveUntil: 0, adversary, ...more });
  return { model, discriminator, stage };
}

const drop = ({ model, discriminator }: Trained): void => [model, discriminator].forEach((one) => one.dispose());

const norm = (values: Float32Array): number => Math.hypot(...values);

const optionsFor = (stage: VqvaeStage, steps: number, more: Partial<TrainOptions> = {}): TrainOptions => ({
  stage,
  batches: batchesFrom,
  schedule: {
    kind: 'cos',
    peak: 1e-3,
    warmup: 2,
    start: 0.1,
    end: 0.1,
    steps,
    weightDecay: 0.05,
    weightDecayEnd: 0.05,
  },
  seed: 1,
  clipNorm: 1,
  folder,
  saveEvery: 100,
  keep: 2,
  ...more,
});

describe('a VQVAE of which the decoder alone is trained', () => {
  it('gives every picture the tokens that it had, from weights that stay bit for bit, and comes nearer to it', async () => {
    const all = trained(0, { decoderOnly: true, adversary: undefined, reviveEvery: 1, reviveUntil: 100 });
    const { model, stage } = all;
    const images_B3HW = tensor(images, [B, 3, H, W]);
    const tokens = await valuesOf(model.imageToTokens(images_B3HW));
    const before = await model.hostWeights();
    const losses: number[] = [];
    const onStep = ({ loss }: StepReport): void => void losses.push(loss);
    await train(optionsFor(stage, 15, { onStep, precision: 'f32' }));
    const after = await model.hostWeights();
    const moved = [...after.keys()].filter((name) => Buffer.compare(after.get(name)!.bytes, before.get(name)!.bytes));
    const decoder = [...after.keys()].filter((name) => /^(decoder|post_quant_conv)\./.test(name));
    expect(moved).toEqual(decoder);
    expect(await valuesOf(model.imageToTokens(images_B3HW))).toEqual(tokens);
    expect(Math.min(...losses.slice(-5))).toBeLessThan(Math.min(...losses.slice(0, 5)));
    expect([...stage.checkpointFolder().keys()]).toContain('model.safetensors');
    drop(all);
  });
});

describe('a VQVAE with a discriminator', () => {
  it('has the gradients of all losses, the adversarial one by the adaptive weight, and the discriminator those of the hinge loss', async () => {
    const all = trained(0);
    const { model, discriminator, stage } = all;
    const images_B3HW = tensor(images, [B, 3, H, W]);
    const [ours, theirs] = [[...model.namedParameters().values()], [...discriminator.namedParameters().values()]];
    const plain = scope(() => {
      const { reconstruction_B3HW, quantizeLoss } = model.trainForward(images_B3HW);
      const [got, want] = [reconstruction_B3HW, images_B3HW].map((x) => permute(x, [0, 2, 3, 1])) as [Tensor, Tensor];
      const errors = add(mean(relu(sub(got, want))), mean(relu(sub(want, got))));
      const picture = add(
        add(errors, mul(mean(square(sub(got, want))), 0.5)),
        mul(mean(blurred.distance(got, want)), 0.7),
      );
      const fooled = neg(mean(discriminator.forward(got)));
      const hinge = (logits: Tensor, sign: number): Tensor => mean(relu(add(mul(logits, sign), 1)));
      const against = mul(
        add(hinge(discriminator.forward(want), -1), hinge(discriminator.forward(detach(got)), 1)),
        0.5,
      );
      return {
        picture: backward(picture, ours),
        fooled: backward(fooled, ours),
        quantize: backward(quantizeLoss, ours),
        against: backward(against, theirs),
        values: [picture, fooled, quantizeLoss, against],
      };
    });
    const { loss, metrics, gradients } = scope(() => {
      const output = stage.forward({ images_B3HW, judged: tensor([1], [1], { dtype: 'u32' }) });
      return { ...output, gradients: backward(output.loss, [...ours, ...theirs]) };
    });
    const last = [...model.namedParameters().keys()].indexOf('decoder.conv_out.weight');
    const adaptive = norm(await valuesOf(plain.picture[last]!)) / (norm(await valuesOf(plain.fooled[last]!)) + 1e-4);
    await expectClose(metrics['adaptiveWeight']!, [adaptive], 1e-4);
    const [picture, fooled, quantize, against] = await Promise.all(plain.values.map((value) => value.item()));
    await expectClose(loss, [picture! + 0.8 * adaptive * fooled! + 0.25 * quantize!], 1e-5);
    await expectClose(metrics['discriminator']!, [against!], 1e-5);
    const faults: string[] = [];
    for (const [i, name] of [...model.namedParameters().keys()].entries()) {
      const parts = await Promise.all([plain.picture[i]!, plain.fooled[i]!, plain.quantize[i]!].map(valuesOf));
      const wanted = parts[0]!.map((value, k) => value + 0.8 * adaptive * parts[1]![k]! + 0.25 * parts[2]![k]!);
      const got = await valuesOf(gradients[i]!);
      // Biases ahead of a normalisation have a gradient of zero, which float32 only nearly reaches.
      if (norm(wanted) < 1e-6 && norm(got) < 1e-6) continue;
      if (relativeError(got, wanted) > 1e-4) faults.push(`${name}: ${relativeError(got, wanted)}`);
    }
    expect(faults).toEqual([]);
    for (const [i, wanted] of plain.against.entries()) await expectClose(gradients[ours.length + i]!, wanted, 1e-4);
    drop(all);
  });

  const bytesOf = async ({ model, discriminator }: Trained): Promise<{ ours: string; theirs: string }> => {
    const [ours, theirs] = await Promise.all(
      [model, discriminator].map(async (one) =>
        [...(await one.hostWeights()).values()].map(({ bytes }) => Buffer.from(bytes).toString('base64')).join(),
      ),
    );
    return { ours: ours!, theirs: theirs! };
  };

  it('trains as without one until it takes part, which leaves it as it was', async () => {
    const [late, without] = [trained(3), trained(0, { adversary: undefined })];
    const before = await bytesOf(late);
    const steps: StepReport[] = [];
    await train(
      optionsFor(late.stage, 3, { folder: join(folder, 'late'), onStep: (report) => void steps.push(report) }),
    );
    await train(optionsFor(without.stage, 3, { folder: join(folder, 'without') }));
    const after = await bytesOf(late);
    expect(after.ours).toBe((await bytesOf(without)).ours);
    expect(after.theirs).toBe(before.theirs);
    expect(steps.map(({ metrics }) => 'discriminator' in metrics)).toEqual([false, false, false]);
    for (const one of [late, without]) drop(one);
  });

  it('stopped before and behind its start and run again, gives both networks bit for bit', async () => {
    const whole = trained(4);
    const reports: StepReport[] = [];
    await train(
      optionsFor(whole.stage, 8, { folder: join(folder, 'whole'), onStep: (report) => void reports.push(report) }),
    );
    const first = reports.findIndex(({ metrics }) => 'discriminator' in metrics);
    expect(first).toBe(4);
    for (const stopAt of [3, 6, 8]) {
      const controller = new AbortController();
      const part = trained(4);
      const onStep = ({ step }: StepReport): void => void (step === stopAt && controller.abort());
      await train(optionsFor(part.stage, 8, { signal: controller.signal, onStep }));
      if (stopAt === 8) expect(await bytesOf(part)).toEqual(await bytesOf(whole));
      drop(part);
    }
    drop(whole);
  });

  describeHalves('in half precision', () => {
    it('moves the discriminator as f32 does', async () => {
      const moved = async (precision: 'f32' | 'f16'): Promise<number[]> => {
        const all = trained(0);
        const before = await all.discriminator.hostWeights();
        await train(optionsFor(all.stage, 2, { precision, clipNorm: 1e-3, folder: join(folder, precision) }));
        const after = await all.discriminator.hostWeights();
        drop(all);
        return [...after].flatMap(([name, { bytes }]) => {
          const [a, b] = [bytes, before.get(name)!.bytes].map((part) => new Float32Array(part.slice().buffer));
          return Array.from(a!, (value, i) => value - b![i]!);
        });
      };
      // Halves reach 5e-3 in what the discriminator sees; Adam's first steps take little but the sign of it.
      expect(relativeError(await moved('f16'), await moved('f32'))).toBeLessThan(0.1);
    });
  });

  it('keeps the number of live buffers level', async () => {
    const all = trained(2);
    const device = await testDevice();
    const live: number[] = [];
    await train(optionsFor(all.stage, 12, { onStep: () => void live.push(device.stats().liveBuffers) }));
    expect(new Set(live.slice(2)).size).toBe(1);
    drop(all);
  });
});

describe('OpposedAdamW', () => {
  it('clips the gradients of each network by their own norm', async () => {
    const [a, b] = [tensor([1, 2], [2]), tensor([3], [1])];
    const own = new AdamW(new Map([['a', a]]));
    const opponent = { parameters: () => new Map([['b', b]]), betas: [0.5, 0.9] as const, rate: 2 };
    const both = new OpposedAdamW(own, opponent);
    const norms = both.step([tensor([3, 4], [2]), tensor([1000], [1])], {
      learningRate: 0.1,
      weightDecay: 0,
      clipNorm: 5,
    });
    await expectClose(norms, [5], 1e-6);
    // Adam's first step is the learning rate, whatever the gradient's size.
    await expectClose(a, [0.9, 1.9], 1e-5);
    await expectClose(b, [2.8], 1e-5);
    both.dispose();
  });

  it('takes the loss scale out of the gradients of both', async () => {
    const [a, b] = [tensor([1, 2], [2]), tensor([3], [1])];
    const lossScale = new LossScale();
    const own = new AdamW(new Map([['a', a]]), { lossScale });
    const both = new OpposedAdamW(own, { parameters: () => new Map([['b', b]]), betas: [0.5, 0.9], rate: 1 });
    const numbers = { learningRate: 0.1, weightDecay: 0, clipNorm: 1e6 };
    both.step([mul(tensor([3, 4], [2]), lossScale.factor()), mul(tensor([0.3], [1]), lossScale.factor())], numbers);
    await expectClose(both.moments().get('a.first')!, [0.3, 0.4], 1e-5);
    await expectClose(both.moments().get('b.first')!, [0.15], 1e-5);
    both.dispose();
    lossScale.dispose();
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Star, starConfig } from '@star-webgpu/star-transformer';
import { backward, crossEntropy, type Device, mean, reshape, scope, tensor } from '@star-webgpu/tensor-webgpu';
import {
  describeHalves,
  goldenWeights,
  hashed,
  loadGolden,
  loadGoldenJson,
  type Manifest,
  testDevice,
} from '@star-webgpu/tensor-webgpu/testing';
import { Vqvae } from '@star-webgpu/vqvae';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AdamW, isDecayed } from './optimizer.ts';
import type { TrainingBatch } from './stage.ts';
import { VqvaeStage } from './stages/vqvae.ts';
import { batchesFrom, bytesOf, smallRun, smallVqvae } from './testing/small-run.ts';
import { type StepReport, train, type TrainOptions } from './train.ts';

let device: Device;
let folder: string;
beforeAll(async () => {
  device = await testDevice();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trainer-'));
});
afterEach(() => rm(folder, { recursive: true }));

const starGolden = (file: string): URL => new URL(`../../star-transformer/test/golden/${file}`, import.meta.url);

describe('AdamW', () => {
  it('takes the five published steps: losses, gradient norms, parameters, and who decays', async () => {
    interface Golden {
      readonly lr: number;
      readonly weight_decay: number;
      readonly clip: number;
      readonly loss_and_gradnorm: readonly (readonly [number, number])[];
      readonly params_after: Readonly<Record<string, readonly [number, readonly number[]]>>;
      readonly no_decay: readonly string[];
    }
    const golden = await loadGoldenJson<Golden>(new URL('../test/golden/star_adamw.json', import.meta.url));
    const manifest = await loadGoldenJson<Manifest>(starGolden('star_manifest.json'));
    const numbers = await loadGolden(starGolden('star.safetensors'));
    const star = new Star(
      starConfig({
        patchNumbers: [1, 2, 4, 8],
        depth: 3,
        width: 128,
        heads: 2,
        textWidth: 32,
        codeWidth: 8,
        codebookSize: 64,
        dropPath: 0,
      }),
    );
    const names = new Set(star.namedParameters().keys());
    star.load(goldenWeights(manifest, (name) => names.has(name)));
    const parameters = star.namedParameters();
    expect(
      [...parameters]
        .filter(([name, value]) => !isDecayed(name, value))
        .map(([name]) => name)
        .toSorted(),
    ).toEqual(golden.no_decay.toSorted());
    const optimizer = new AdamW(parameters);
    const mask = tensor(
      [7, 4].flatMap((length) => Array.from({ length: 7 }, (_, t) => Number(t < length))),
      [2, 7],
      { dtype: 'u32' },
    );
    const text = { states: hashed('text', [2, 7, 32]), mask, pooled: hashed('pool', [2, 32], 0.5) };
    const input_BlZ = tensor(numbers.get('var_input')!.values, [2, 84, 8]);
    const targets = tensor(numbers.get('gt')!.values, [170], { dtype: 'u32' });
    for (const [loss, norm] of golden.loss_and_gradnorm) {
      const step = scope(() => {
        const value = mean(crossEntropy(reshape(star.forward({ input_BlZ, text }), [170, 64]), targets));
        const gradients = backward(value, optimizer.parameters);
        return {
          value,
          norm: optimizer.step(gradients, {
            learningRate: golden.lr,
            weightDecay: golden.weight_decay,
            clipNorm: golden.clip,
          }),
        };
      });
      expect(Math.abs((await step.value.item()) / loss - 1)).toBeLessThan(1e-4);
      expect(Math.abs((await step.norm.item()) / norm - 1)).toBeLessThan(1e-4);
    }
    for (const [name, [norm]] of Object.entries(golden.params_after)) {
      const values = await parameters.get(name)!.data();
      expect(Math.abs(Math.sqrt(values.reduce((sum, v) => sum + v * v, 0)) / norm - 1), name).toBeLessThan(1e-4);
    }
    optimizer.dispose();
    star.dispose();
  });

  it('steps as if a step that was not finite had never been, once that is no longer counted', async () => {
    const after = async (gradients: readonly number[]): Promise<Float32Array> => {
      const weight = tensor([1, 2, 3], [3]).keep();
      const optimizer = new AdamW(new Map([['weight', weight]]), { averageDecay: 0.9 });
      for (const value of gradients) {
        optimizer.step([tensor([value, -value, 2 * value], [3])], { learningRate: 0.1, weightDecay: 0, clipNorm: 9 });
        if (!Number.isFinite(value)) optimizer.uncount();
      }
      const values = await optimizer.averaged(() => weight.data());
      const both = Float32Array.from([...values, ...(await weight.data())]);
      expect(optimizer.steps).toBe(gradients.filter(Number.isFinite).length);
      optimizer.dispose();
      weight.dispose();
      return both;
    };
    expect(await after([Infinity, 0.5, NaN, 0.25])).toEqual(await after([0.5, 0.25]));
  });
});

const optionsFor = (model: Vqvae, steps: number, more: Partial<TrainOptions> = {}): TrainOptions =>
  smallRun(model, { folder, steps, ...more });

describe('train', () => {
  it('stopped and run again, gives the weights of the run that never stopped, bit for bit', async () => {
    const whole = new Vqvae(smallVqvae, { seed: 1 });
    expect(await train(optionsFor(whole, 8))).toBe(8);
    await rm(folder, { recursive: true });
    const controller = new AbortController();
    const first = new Vqvae(smallVqvae, { seed: 1 });
    expect(
      await train(
        optionsFor(first, 8, {
          signal: controller.signal,
          onStep: ({ step }) => void (step === 4 && controller.abort()),
        }),
      ),
    ).toBe(4);
    const second = new Vqvae(smallVqvae, { seed: 2 });
    const notices: string[] = [];
    expect(await train(optionsFor(second, 8, { onNotice: (text) => notices.push(text) }))).toBe(8);
    expect(notices[0]).toMatch(/going on from step 4/);
    expect(await bytesOf(second)).toBe(await bytesOf(whole));
    for (const model of [whole, first, second]) model.dispose();
  });

  it('ends with averaged weights, the same after a stop; shows them in between, and puts the weights back', async () => {
    const averageDecay = 0.5;
    const [plain, whole] = [new Vqvae(smallVqvae, { seed: 1 }), new Vqvae(smallVqvae, { seed: 1 })];
    const seen: Record<string, string[]> = { plain: [], before: [], averaged: [], after: [] };
    await train(
      optionsFor(plain, 8, {
        folder: join(folder, 'plain'),
        onStep: async () => void seen['plain']!.push(await bytesOf(plain)),
      }),
    );
    await train(
      optionsFor(whole, 8, {
        averageDecay,
        folder: join(folder, 'whole'),
        onStep: async (_, averaged) => {
          seen['before']!.push(await bytesOf(whole));
          await averaged(async () => void seen['averaged']!.push(await bytesOf(whole)));
          seen['after']!.push(await bytesOf(whole));
        },
      }),
    );
    expect(seen['before']).toEqual(seen['plain']);
    expect(seen['after']).toEqual(seen['plain']);
    expect(seen['averaged']).not.toContain(seen['plain']!.at(-1));
    expect(await bytesOf(whole)).toBe(seen['averaged']!.at(-1));
    const [first, second, again] = [1, 2, 3].map((seed) => new Vqvae(smallVqvae, { seed })) as [Vqvae, Vqvae, Vqvae];
    const controller = new AbortController();
    await train(
      optionsFor(first, 8, {
        averageDecay,
        signal: controller.signal,
        onStep: ({ step }) => void (step === 5 && controller.abort()),
      }),
    );
    expect(await bytesOf(first)).toBe(seen['plain']![4]);
    // once to the end, and once more from the end
    for (const model of [second, again]) {
      await train(optionsFor(model, 8, { averageDecay }));
      expect(await bytesOf(model)).toBe(await bytesOf(whole));
    }
    for (const model of [plain, whole, first, second, again]) model.dispose();
  });

  it('gives the same weights each time, bit for bit, over twenty steps', async () => {
    const runs: string[] = [];
    for (const name of ['first', 'second']) {
      const model = new Vqvae(smallVqvae, { seed: 1 });
      await train(optionsFor(model, 20, { folder: join(folder, name) }));
      runs.push(await bytesOf(model));
      model.dispose();
    }
    expect(runs[1]).toBe(runs[0]);
  });

  it('keeps the number of live buffers level over 200 steps', async () => {
    const model = new Vqvae(smallVqvae, { seed: 1 });
    const live: number[] = [];
    await train(optionsFor(model, 200, { saveEvery: 60, onStep: () => void live.push(device.stats().liveBuffers) }));
    expect(live.length).toBe(200);
    expect(new Set(live).size).toBe(1);
    model.dispose();
  });

  it('makes one step of two half batches as it does of the whole one', async () => {
    async function* halves(start: TrainingBatch['cursor']): AsyncGenerator<TrainingBatch> {
      for await (const { images, captions, keys, ...batch } of batchesFrom(start))
        for (const b of [0, 1])
          yield {
            ...batch,
            images: images.slice((b * images.length) / 2, ((b + 1) * images.length) / 2),
            shape: [1, 3, 8, 8],
            captions: [captions[b]!],
            keys: [keys[b]!],
          };
    }
    const never = { reviveEvery: 0, reviveUntil: 0, seed: 1, absoluteWeight: 1, quantizeWeight: 0.25 };
    const [whole, split] = [new Vqvae(smallVqvae, { seed: 1 }), new Vqvae(smallVqvae, { seed: 1 })];
    const reports: StepReport[] = [];
    const onStep = (report: StepReport): void => void reports.push(report);
    await train(optionsFor(whole, 1, { stage: new VqvaeStage(whole, never), onStep }));
    const stage = new VqvaeStage(split, never);
    const elsewhere = join(folder, 'split');
    await train(optionsFor(split, 1, { stage, onStep, batches: halves, accumulate: 2, folder: elsewhere }));
    expect(Math.abs(reports[1]!.loss / reports[0]!.loss - 1)).toBeLessThan(1e-5);
    expect(Math.abs(reports[1]!.gradientNorm / reports[0]!.gradientNorm - 1)).toBeLessThan(1e-5);
    for (const model of [whole, split]) model.dispose();
  });

  it('evaluates at intervals and behind the last step, once the step is done', async () => {
    const model = new Vqvae(smallVqvae, { seed: 1 });
    const reports: StepReport[] = [];
    const measured: string[] = [];
    const measure = async (step: number): Promise<Record<string, number>> => {
      measured.push(await bytesOf(model));
      return { step };
    };
    const onStep = (report: StepReport): void => void reports.push(report);
    await train(optionsFor(model, 8, { evaluation: { every: 3, measure }, onStep }));
    const found = reports.flatMap(({ step, evaluation }) => (evaluation ? [[step, evaluation['step']]] : []));
    expect(found).toEqual([
      [3, 3],
      [6, 6],
      [8, 8],
    ]);
    expect(measured.at(-1)).toBe(await bytesOf(model));
    expect(new Set(measured).size).toBe(3);
    model.dispose();
  });

  it('refuses a folder of another run', async () => {
    const model = new Vqvae(smallVqvae, { seed: 1 });
    await train(optionsFor(model, 1));
    await expect(train(optionsFor(model, 2, { seed: 9 }))).rejects.toThrow(
      /must hold a run of stage vqvae with seed 9, got stage vqvae with seed 1\. Use another folder\./,
    );
    model.dispose();
  });
});

describeHalves('train in half precision', () => {
  it('the loss comes within 1% of f32 after thirty steps, and a stopped run goes on bit for bit', async () => {
    const last = async (name: string, more: Partial<TrainOptions>, stopAt?: number): Promise<[StepReport, string]> => {
      const model = new Vqvae(smallVqvae, { seed: 1 });
      const controller = new AbortController();
      const reports: StepReport[] = [];
      const onStep = (report: StepReport): void => {
        reports.push(report);
        if (report.step === stopAt) controller.abort();
      };
      await train(optionsFor(model, 30, { folder: join(folder, name), signal: controller.signal, onStep, ...more }));
      const bytes = await bytesOf(model);
      model.dispose();
      return [reports.at(-1)!, bytes];
    };
    const [full] = await last('full', {});
    const [half, bytes] = await last('half', { precision: 'f16' });
    expect(half.metrics['lossScale']).toBe(2 ** 11);
    expect(Math.abs(half.loss / full.loss - 1)).toBeLessThan(0.01);
    await last('stopped', { precision: 'f16' }, 13);
    const [, resumed] = await last('stopped', { precision: 'f16' });
    expect(resumed).toBe(bytes);
  });
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { Vqvae } from '@star-webgpu/vqvae';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SpikeGuardOptions } from './spike-guard.ts';
import type { TrainingBatch } from './stage.ts';
import { batchesFrom, bytesOf, smallRun, smallVqvae } from './testing/small-run.ts';
import { type StepReport, train, type TrainOptions } from './train.ts';

let folder: string;
beforeAll(() => testDevice());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-'));
});
afterEach(() => rm(folder, { recursive: true }));

const guard: SpikeGuardOptions = { factor: 10, patience: 2, window: 6, rollbacks: 2 };

/** Batches of which the ones at some places are multiplied by something, as by a decoder that read them wrong. */
const spoilt = (places: readonly number[], factor: number): TrainOptions['batches'] =>
  async function* batches(start): AsyncGenerator<TrainingBatch> {
    for await (const batch of batchesFrom(start)) {
      const images = places.includes(batch.cursor.step) ? batch.images.map((value) => factor * value) : batch.images;
      yield { ...batch, images };
    }
  };

/** Batches without those at some places. */
const without = (places: readonly number[]): TrainOptions['batches'] =>
  async function* batches(start): AsyncGenerator<TrainingBatch> {
    for await (const batch of batchesFrom(start)) if (!places.includes(batch.cursor.step)) yield batch;
  };

interface Outcome {
  readonly reports: readonly StepReport[];
  readonly notices: readonly string[];
  readonly bytes: string;
}

/** Trains for twelve steps, or until the n-th report. */
async function run(name: string, more: Partial<TrainOptions>, stopAt?: number): Promise<Outcome> {
  const model = new Vqvae(smallVqvae, { seed: 1 });
  const controller = new AbortController();
  const reports: StepReport[] = [];
  const notices: string[] = [];
  const onStep = (report: StepReport): void => {
    if (reports.push(report) === stopAt) controller.abort();
  };
  const onNotice = (text: string): void => void notices.push(text);
  const options = { folder: join(folder, name), steps: 12, signal: controller.signal, onStep, onNotice, ...more };
  await train(smallRun(model, options));
  const bytes = await bytesOf(model);
  model.dispose();
  return { reports, notices, bytes };
}

describe('a guard against loss spikes', () => {
  it('goes back and passes over the batches that blew the loss up: the weights are those of a run without them', async () => {
    const plain = await run('plain', { batches: without([7, 8]) });
    const batches = spoilt([7, 8], 40);
    const { reports, notices, bytes } = await run('guarded', { batches, guard });
    expect(reports.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 7, 8, 9, 10, 11, 12]);
    expect(reports[6]!.loss).toBeGreaterThan(100 * reports[5]!.loss);
    expect(reports.filter(({ rollback }) => rollback)).toEqual([reports[8]]);
    expect(reports[8]!.rollback).toMatchObject({ from: 8, to: 6, loss: reports[7]!.loss });
    expect(notices[0]).toMatch(
      /the loss left its course: 2 steps in a row above .* at step 8; going back to step 6, past/,
    );
    expect(bytes).toBe(plain.bytes);
  });

  it('does the same in a run that is stopped in the spike, or behind it, and goes on', async () => {
    const options = { batches: spoilt([7, 8], 40), guard, keep: 1 };
    const whole = await run('whole', options);
    for (const stopAt of [7, 9, 10]) {
      const first = await run(`stopped-${stopAt}`, options, stopAt);
      const second = await run(`stopped-${stopAt}`, options);
      expect(second.bytes).toBe(whole.bytes);
      const steps = [...first.reports, ...second.reports].map(({ step, loss, rollback }) => ({ step, loss, rollback }));
      expect(steps).toEqual(whole.reports.map(({ step, loss, rollback }) => ({ step, loss, rollback })));
    }
  });

  it('lets a single bad batch pass where patience is more', async () => {
    const { reports } = await run('single', { batches: spoilt([7], 40), guard });
    expect(reports.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
  });

  it('ends a run whose learning rate is out of all reason, with advice and the last good checkpoint', async () => {
    // a thousandth at the first step, then 1.6e5 and more
    const decay = { weightDecay: 0, weightDecayEnd: 0 };
    const schedule = { kind: 'cos', peak: 1e6, warmup: 6, start: 1e-9, end: 1, steps: 12, ...decay } as const;
    const options = { schedule, guard: { ...guard, patience: 1, window: 2 } };
    await expect(run('wild', options)).rejects.toThrow(
      /^train: the loss left its course: 1 steps in a row above .* after 2 times of going back\. The last good checkpoint is kept\. Lower the learning rate/,
    );
    expect((await readdir(join(folder, 'wild'))).toSorted()).toEqual(['last', 'step-00000000']);
  });
});

describe('steps that are not finite', () => {
  it('change no weight and are counted, over a stop too', async () => {
    const batches = spoilt([4, 5], Number.NaN);
    const whole = await run('whole', { batches });
    expect(whole.reports.map(({ skipped }) => skipped)).toEqual([0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
    expect(whole.reports.at(-1)!.loss).toBeLessThan(whole.reports[0]!.loss);
    const first = await run('stopped', { batches }, 5);
    const second = await run('stopped', { batches });
    expect([...first.reports, ...second.reports].map(({ skipped }) => skipped)).toEqual(
      whole.reports.map(({ skipped }) => skipped),
    );
    expect(second.bytes).toBe(whole.bytes);
  });
});

import { join } from 'node:path';
import { loadBatches } from '@star-webgpu/data-lmdb';
import { type Communicator, type Schedule, type ScheduleKind, train } from '@star-webgpu/trainer';
import type { TrainConfig } from './config/parse.ts';
import type { TrainingData } from './data.ts';
import { evaluationOf } from './evaluation.ts';
import { sayOn } from './ranks.ts';
import type { Trained } from './trained.ts';
import { watchRun } from './watch.ts';

interface Loop {
  readonly config: TrainConfig;
  /** Folder of the run. */
  readonly out: string;
  readonly data: TrainingData;
  readonly communicator: Communicator;
  /** Saves and stops the run. */
  readonly signal: AbortSignal;
}

/** Trains to the end of the schedule or an interrupt. Resolves to the steps done. */
export function runLoop(trained: Trained, { config, out, data, communicator, signal }: Loop): Promise<number> {
  const { training, seed } = config;
  const { packs, keys } = data;
  const watch = watchRun(trained, config, out);
  return train({
    stage: trained.stage,
    communicator,
    ...training.distributed,
    batches: (start) =>
      loadBatches({
        packs,
        ...(keys && { keys }),
        ...(config.data.weights && { weights: config.data.weights }),
        batch: training.batch,
        rank: communicator.rank,
        worldSize: communicator.size,
        size: trained.sizes,
        group: training.accumulate,
        seed,
        start,
        decode: !trained.tokens,
        caption: config.stage === 'vqvae' ? 'first' : config.captions,
      }),
    schedule: scheduleOf(config),
    seed,
    clipNorm: training.clipNorm,
    accumulate: training.accumulate,
    precision: training.precision,
    folder: join(out, 'checkpoints'),
    saveEvery: training.saveEvery,
    keep: training.keepCheckpoints,
    ...(training.milestoneEvery && { milestoneEvery: training.milestoneEvery }),
    ...(training.best && { best: training.best }),
    ...(training.spikeGuard && { guard: training.spikeGuard }),
    averageDecay: training.ema?.decay,
    evaluation: evaluationOf(trained, config, data),
    onStep: watch.onStep,
    onNotice: sayOn(communicator),
    signal,
  }).finally(watch.close);
}

function scheduleOf({ training }: TrainConfig): Schedule {
  const { schedule, learningRate, warmupSteps, finalRate, steps, weightDecay } = training;
  return {
    kind: schedule as ScheduleKind,
    peak: learningRate,
    warmup: warmupSteps,
    start: 0.005,
    end: finalRate,
    steps,
    weightDecay,
    weightDecayEnd: weightDecay,
  };
}

import { join } from 'node:path';
import { loadBatches } from '@star-webgpu/data-lmdb';
import { type Communicator, type Schedule, type ScheduleKind, train } from '@star-webgpu/trainer';
import type { TrainConfig } from './config/parse.ts';
import type { TrainingData } from './data.ts';
import { evaluationOf } from './evaluation.ts';
import { sayOn } from './ranks.ts';
import { orderOptions, type RunLength } from './run-length.ts';
import type { Trained } from './trained.ts';
import { watchRun } from './watch.ts';

interface Loop {
  readonly config: TrainConfig;
  readonly length: RunLength;
  /** Folder of the run. */
  readonly out: string;
  readonly data: TrainingData;
  readonly communicator: Communicator;
  /** Saves and stops the run. */
  readonly signal: AbortSignal;
}

/** Trains to the end of the schedule or an interrupt. Resolves to the steps done. */
export function runLoop(trained: Trained, { config, length, out, data, communicator, signal }: Loop): Promise<number> {
  const { training, seed } = config;
  const watch = watchRun(trained, config, out);
  return train({
    stage: trained.stage,
    communicator,
    ...training.distributed,
    batches: (start) =>
      loadBatches({
        ...orderOptions(config, data, trained.sizes),
        rank: communicator.rank,
        worldSize: communicator.size,
        start,
        decode: !trained.tokens,
        caption: config.stage === 'vqvae' ? 'first' : config.captions,
      }),
    schedule: scheduleOf(config, length),
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

function scheduleOf({ training }: TrainConfig, { steps, warmupSteps }: RunLength): Schedule {
  const { schedule, learningRate, finalRate, weightDecay } = training;
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

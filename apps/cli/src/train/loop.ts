import { join } from 'node:path';
import { loadBatches } from '@star-webgpu/data-lmdb';
import { RunLog, type Schedule, type ScheduleKind, type StepReport, train } from '@star-webgpu/trainer';
import { duration, interruptSignal, Progress, say } from '../output.ts';
import type { TrainConfig } from './config/parse.ts';
import type { TrainingData } from './data.ts';
import type { Trained } from './trained.ts';

interface Loop {
  readonly config: TrainConfig;
  /** Folder of the run. */
  readonly out: string;
  readonly data: TrainingData;
}

/** Trains to the end of the schedule or an interrupt. Resolves to the steps done. */
export function runLoop({ stage, sizes, tokens, preview }: Trained, { config, out, data }: Loop): Promise<number> {
  const { training, seed } = config;
  const progress = new Progress();
  const log = new RunLog(out);
  return train({
    stage,
    batches: (start) =>
      loadBatches({
        ...data,
        ...(config.data.weights && { weights: config.data.weights }),
        batch: training.batch,
        size: sizes,
        group: training.accumulate,
        seed,
        start,
        decode: !tokens,
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
    averageDecay: training.ema?.decay,
    onStep: async (report, averaged) => {
      progress.show(progressLine(report), report.step === report.steps);
      await log.step(report);
      if (preview?.isDue(report.step)) await averaged(() => preview.draw(join(out, 'previews'), report.step));
    },
    onNotice: say,
    signal: interruptSignal(),
  }).finally(async () => {
    progress.end();
    await log.close();
  });
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

function progressLine({ step, steps, loss, metrics, imagesPerSecond, eta }: StepReport): string {
  const whole = Object.entries(metrics).filter(([name]) => !name.includes('/'));
  const measured = whole.map(([name, value]) => `${name} ${value.toFixed(4)}`);
  return `step ${step}/${steps}  loss ${loss.toFixed(4)}  ${measured.join('  ')}  ${imagesPerSecond.toFixed(1)} images/s  ${duration(eta)} left`;
}

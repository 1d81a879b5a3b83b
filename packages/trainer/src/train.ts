import { LossScale, type Precision, readSafetensors, writeSafetensors } from '@star-webgpu/tensor-webgpu';
import { latestCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { AdamW } from './optimizer.ts';
import { type Schedule, scheduleAt } from './schedule.ts';
import type { Stage, TrainingBatch } from './stage.ts';
import { TrainStep } from './step.ts';

/** Numbers of one step. */
export interface StepReport {
  /** Steps done, this one included. */
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly imagesPerSecond: number;
  /** Seconds left at the present pace. */
  readonly eta: number;
  /** What the stage measures. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Numbers of held-out data, at the steps that are evaluated. */
  readonly evaluation?: Readonly<Record<string, number>>;
}

/** Measures the model as it is now and then, and behind the last step. */
export interface Evaluation {
  /** Steps between evaluations. */
  readonly every: number;
  /** Numbers by name; what they mean is not the trainer's business. */
  readonly measure: (step: number) => Promise<Readonly<Record<string, number>>>;
}

/** Runs something with averaged weights in place. */
export type Averaged = <T>(run: () => Promise<T>) => Promise<T>;

export interface TrainOptions {
  readonly stage: Stage;
  /** Batches from a cursor on, without end. */
  readonly batches: (start: TrainingBatch['cursor']) => AsyncIterable<TrainingBatch>;
  readonly schedule: Schedule;
  readonly seed: number;
  readonly clipNorm: number;
  /** Batches whose mean gradient makes one step; 1 if not given. */
  readonly accumulate?: number;
  /** Type of the operands of products: f16 keeps a loss scale, and f32 for weights, sums and moments. f32 if not given. */
  readonly precision?: Precision;
  /** Folder of the run's checkpoints. */
  readonly folder: string;
  /** Steps between checkpoints. */
  readonly saveEvery: number;
  /** Checkpoints kept. */
  readonly keep: number;
  /** Decay of a moving average of the weights, which makes the finished model; none if not given. */
  readonly averageDecay?: number | undefined;
  /** With the averaged weights in place, where they are kept. */
  readonly evaluation?: Evaluation | undefined;
  /** Behind each step; `averaged` runs something with the averaged weights in place, or with the weights where no averages are kept. */
  readonly onStep?: (report: StepReport, averaged: Averaged) => void | Promise<void>;
  /** A checkpoint was found and the run goes on from it, or a broken one was passed over. */
  readonly onNotice?: (text: string) => void;
  /** Saves and stops behind the running step. */
  readonly signal?: AbortSignal;
}

/**
 * Trains until the schedule's last step, going on from the newest whole checkpoint of the folder. Resolves to the steps done; the stage is
 * left with the averaged weights, where they are kept and the last step is done.
 */
export async function train(options: TrainOptions): Promise<number> {
  const { stage, schedule, signal } = options;
  const lossScale = options.precision === 'f16' ? new LossScale() : undefined;
  const { averageDecay } = options;
  const optimizer = new AdamW(stage.parameters(), { ...(lossScale && { lossScale }), averageDecay });
  const step = new TrainStep(stage, optimizer, options.precision);
  let cursor = await resume(options, optimizer);
  let done = optimizer.steps;
  const pace = new Pace();
  if (done < schedule.steps) {
    for await (const batches of grouped(options.batches(cursor), options.accumulate ?? 1)) {
      const { learningRate, weightDecay } = scheduleAt(schedule, done);
      const numbers = await step.run(batches, {
        step: done,
        learningRate,
        weightDecay,
        clipNorm: options.clipNorm,
      });
      cursor = batches.at(-1)!.cursor;
      done++;
      const speed = pace.tick(batches.reduce((images, { shape }) => images + shape[0], 0));
      const evaluation = await evaluated(options, optimizer, done);
      const report = {
        ...numbers,
        step: done,
        steps: schedule.steps,
        epoch: cursor.epoch,
        learningRate,
        imagesPerSecond: speed,
        eta: (schedule.steps - done) * pace.seconds,
        ...(evaluation && { evaluation }),
      };
      await options.onStep?.(report, (run) => optimizer.averaged(run));
      const stop = done >= schedule.steps || (signal?.aborted ?? false);
      if (stop || done % options.saveEvery === 0) await save(options, optimizer, cursor);
      if (stop) break;
    }
  }
  step.dispose();
  if (done >= schedule.steps) optimizer.finish();
  optimizer.dispose();
  lossScale?.dispose();
  return done;
}

/** The numbers of a step that is evaluated. */
async function evaluated(
  { evaluation, schedule }: TrainOptions,
  optimizer: AdamW,
  step: number,
): Promise<StepReport['evaluation']> {
  if (!evaluation || (step % evaluation.every !== 0 && step < schedule.steps)) return undefined;
  return optimizer.averaged(() => evaluation.measure(step));
}

/** Batches in groups of one size; a rest that does not fill one is left out. */
async function* grouped(batches: AsyncIterable<TrainingBatch>, size: number): AsyncGenerator<TrainingBatch[]> {
  let group: TrainingBatch[] = [];
  for await (const batch of batches) {
    group.push(batch);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
}

async function resume(
  { stage, folder, onNotice, seed }: TrainOptions,
  optimizer: AdamW,
): Promise<TrainingBatch['cursor']> {
  const found = await latestCheckpoint(folder, (broken, reason) =>
    onNotice?.(`checkpoint ${broken} is broken (${reason}); the one before it is used`),
  );
  if (!found) return { epoch: 0, step: 0 };
  const { state, readFile } = found;
  if (state.stage !== stage.name || state.seed !== seed)
    throw new Error(
      `train: ${folder} must hold a run of stage ${stage.name} with seed ${seed}, got stage ${state.stage} with seed ${state.seed}. Use another folder.`,
    );
  if (state.stageState !== undefined) stage.restoreState?.(state.stageState);
  await stage.restore((path) => readFile(`model/${path}`));
  optimizer.load(readSafetensors(await readFile('optimizer.safetensors')), state.step);
  if (state.lossScale) optimizer.lossScale?.load(state.lossScale);
  onNotice?.(`going on from step ${state.step} of ${found.folder}`);
  return state.cursor;
}

async function save(
  { stage, folder, keep, seed }: TrainOptions,
  optimizer: AdamW,
  cursor: TrainingBatch['cursor'],
): Promise<void> {
  const files = new Map<string, Uint8Array>();
  const moved = await (stage.checkpointFiles?.() ?? stage.files());
  for (const [path, bytes] of moved) files.set(`model/${path}`, bytes);
  files.set('optimizer.safetensors', writeSafetensors(await optimizer.state()));
  await writeCheckpoint(folder, {
    files,
    keep,
    state: {
      stage: stage.name,
      step: optimizer.steps,
      cursor,
      seed,
      stageState: stage.state?.(),
      lossScale: await optimizer.lossScale?.read(),
    },
  });
}

/** A running mean of the time a step takes. */
class Pace {
  private last = performance.now();
  /** Seconds a step. */
  seconds = 0;

  /** Notes the end of a step. Returns images per second. */
  tick(images: number): number {
    const now = performance.now();
    const taken = (now - this.last) / 1000;
    this.last = now;
    this.seconds = this.seconds ? 0.95 * this.seconds + 0.05 * taken : taken;
    return images / this.seconds;
  }
}

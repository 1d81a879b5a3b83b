import type { Precision } from '@star-webgpu/tensor-webgpu';
import type { Rollback } from './checkpoints/state.ts';
import type { Communicator } from './distributed/communicator.ts';
import type { GradientSumsOptions } from './distributed/gradient-sums.ts';
import type { Schedule } from './schedule.ts';
import type { SpikeGuardOptions } from './spike-guard.ts';
import type { Stage, TrainingBatch } from './stage.ts';
import { TrainingRun } from './training-run.ts';

/** Numbers of one step. */
export interface StepReport {
  /** Steps done, this one included. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Times that all pictures were seen before. */
  readonly epoch: number;
  /** Mean over the batches of the step. */
  readonly loss: number;
  /** Norm of all gradients together, before they are clipped. */
  readonly gradientNorm: number;
  /** That of this step. */
  readonly learningRate: number;
  /** Steps of the run whose gradients were not finite, which changed nothing. */
  readonly skipped: number;
  /** Of all processes together, over the last steps. */
  readonly imagesPerSecond: number;
  /** Seconds left at the present pace. */
  readonly eta: number;
  /** What the stage measures. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Numbers of held-out data, at the steps that are evaluated. */
  readonly evaluation?: Readonly<Record<string, number>>;
  /** The step is the first one after the run went back. */
  readonly rollback?: Rollback;
}

/** Measures the model as it is now and then, and behind the last step. */
export interface Evaluation {
  /** Steps between evaluations. */
  readonly every: number;
  /** Numbers by name; what they mean is not the trainer's business. */
  readonly measure: (step: number) => Promise<Readonly<Record<string, number>>>;
}

/** By which of its numbers the best checkpoint is known. */
export interface BestOptions {
  /** `loss`, or a name of the stage's metrics or of the evaluation's numbers. */
  readonly metric: string;
  /** Which is better; lower if not given. */
  readonly better?: 'lower' | 'higher';
}

/** Runs something with averaged weights in place. */
export type Averaged = <T>(run: () => Promise<T>) => Promise<T>;

/** A whole training: what learns, from what, how long, and who is told. */
export interface TrainOptions extends GradientSumsOptions {
  /** What is trained, and its loss. */
  readonly stage: Stage;
  /** The processes that train together; this one alone if not given. Only rank 0 writes, evaluates and calls back. */
  readonly communicator?: Communicator | undefined;
  /** Batches from a cursor on, without end: this rank's share of each. */
  readonly batches: (start: TrainingBatch['cursor']) => AsyncIterable<TrainingBatch>;
  /** Learning rate and weight decay of every step; its steps are the length of the run. */
  readonly schedule: Schedule;
  /** Decides what the stage draws. */
  readonly seed: number;
  /** Largest norm of all gradients together. */
  readonly clipNorm: number;
  /** Batches whose mean gradient makes one step; 1 if not given. */
  readonly accumulate?: number;
  /** Type of the operands of products: f16 keeps a loss scale, and f32 for weights, sums and moments. f32 if not given. */
  readonly precision?: Precision;
  /** Folder of the run's checkpoints. */
  readonly folder: string;
  /** Steps between checkpoints. */
  readonly saveEvery: number;
  /** Newest checkpoints kept. */
  readonly keep: number;
  /** Steps between checkpoints that are kept for ever; none if not given. */
  readonly milestoneEvery?: number;
  /** Keeps the best checkpoint as well. */
  readonly best?: BestOptions;
  /** Goes back to the last good checkpoint, past the batches since, when the loss leaves its course. */
  readonly guard?: SpikeGuardOptions;
  /** Decay of a moving average of the weights, which makes the finished model; none if not given. */
  readonly averageDecay?: number | undefined;
  /** With the averaged weights in place, where they are kept. */
  readonly evaluation?: Evaluation | undefined;
  /** Behind each step; `averaged` runs something with the averaged weights in place, or with the weights where no averages are kept. */
  readonly onStep?: (report: StepReport, averaged: Averaged) => void | Promise<void>;
  /** A checkpoint was found and the run goes on from it, a broken one was passed over, or the run goes back. */
  readonly onNotice?: (text: string) => void;
  /** Saves and stops behind the running step. */
  readonly signal?: AbortSignal;
}

/**
 * Trains until the schedule's last step, going on from the newest whole checkpoint of the folder. Resolves to the steps done; the stage is
 * left with the averaged weights, where they are kept and the last step is done.
 */
export async function train(options: TrainOptions): Promise<number> {
  const run = new TrainingRun(options);
  try {
    await run.begin();
    await run.toEnd();
    return run.done;
  } finally {
    await run.close();
  }
}

import { batchesPerEpoch, type PictureSize, type TrainingOptions } from '@star-webgpu/data-lmdb';
import type { TrainConfig } from './config/parse.ts';
import type { TrainingData } from './data.ts';

/** How long a run is. */
export interface RunLength {
  readonly steps: number;
  /** Of these, how many the learning rate rises. */
  readonly warmupSteps: number;
}

/** What decides the order of the pictures, and with it how many batches an epoch has. */
export function orderOptions(
  { seed, training, data: { weights } }: TrainConfig,
  { packs, keys }: TrainingData,
  size: readonly PictureSize[],
): TrainingOptions {
  const { batch, accumulate: group } = training;
  return { packs, ...(keys && { keys }), ...(weights && { weights }), batch, group, size, seed };
}

/** What the config says in steps, or what as many epochs of its pictures are: the run rounded up, its warm-up to the nearest. */
export function runLength(config: TrainConfig, data: TrainingData, sizes: readonly PictureSize[]): RunLength {
  const { accumulate, steps, epochs, warmupSteps, warmupEpochs } = config.training;
  if (steps !== undefined && warmupSteps !== undefined) return { steps, warmupSteps };
  const batches = batchesPerEpoch(orderOptions(config, data, sizes));
  const stepsOf = (count: number): number => (count * batches) / accumulate;
  return {
    steps: steps ?? Math.ceil(stepsOf(epochs!)),
    warmupSteps: warmupSteps ?? Math.round(stepsOf(warmupEpochs!)),
  };
}

export { type Checkpoint, latestCheckpoint } from './checkpoints/open.ts';
export type { Rollback, TrainingState } from './checkpoints/state.ts';
export { type Communicator, singleProcess, type WireType } from './distributed/communicator.ts';
export { gatherTexts } from './distributed/gather.ts';
export type { GradientSumsOptions } from './distributed/gradient-sums.ts';
export { type Launch, launchOf } from './distributed/launch.ts';
export { type MpiOptions, openMpi } from './distributed/mpi/communicator.ts';
export { evaluateStage } from './evaluate.ts';
export { AdamW, type AdamWStep, isDecayed } from './optimizer.ts';
export { type Schedule, scheduleAt, type ScheduleKind } from './schedule.ts';
export type { SpikeGuardOptions } from './spike-guard.ts';
export type { BatchUse, HostValues, Observed, PictureSize, Stage, StageOutput, TrainingBatch } from './stage.ts';
export { FinetuneStage, type FinetuneStageOptions } from './stages/finetune.ts';
export type { Progressive } from './stages/progressive.ts';
export { RefinerStage, type RefinerStageOptions } from './stages/refiner.ts';
export type { StarModels, TokenModel } from './stages/star-inputs.ts';
export { type CaptionFeatures, captionFeatures, pictureTokens, type TokenCache } from './stages/frozen.ts';
export { StarStage, type StarStageOptions } from './stages/star.ts';
export { VqvaeStage, type VqvaeStageOptions } from './stages/vqvae.ts';
export { type StepNumbers, type StepResult, TrainStep, type TrainStepOptions } from './step.ts';
export {
  type Averaged,
  type BestOptions,
  type Evaluation,
  type StepReport,
  train,
  type TrainOptions,
} from './train.ts';
export { type EncodedPicture } from './watch/event.ts';
export { RunLog } from './watch/run-log.ts';

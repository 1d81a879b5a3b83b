import type { LossScaleState } from '@star-webgpu/tensor-webgpu';
import type { SpikeGuardState } from '../spike-guard.ts';
import type { TrainingBatch } from '../stage.ts';

/** That a run went back because its loss had left its course. */
export interface Rollback {
  /** Steps done when it went back. */
  readonly from: number;
  /** Steps done at the checkpoint that it went back to. */
  readonly to: number;
  /** The loss that ended it; null if it was not finite. */
  readonly loss: number | null;
  /** Largest loss that would have been none too many. */
  readonly limit: number;
}

/** Where a run stands; what a checkpoint holds beside weights and moments. */
export interface TrainingState {
  readonly stage: string;
  /** Steps done. */
  readonly step: number;
  readonly cursor: TrainingBatch['cursor'];
  readonly seed: number;
  /** What the stage keeps beside its weights. */
  readonly stageState?: unknown;
  /** The loss scale of a run in half precision. */
  readonly lossScale?: LossScaleState | undefined;
  /** Steps whose gradients were not finite, which changed nothing. */
  readonly skipped?: number;
  /** Steps that changed the weights since they were drawn; all of them where it is not said. */
  readonly updates?: number;
  /** What the guard against loss spikes has seen. */
  readonly guard?: SpikeGuardState | undefined;
  /** Each time that the run went back. */
  readonly rollbacks?: readonly Rollback[];
  /** Mean of the chosen metric over the steps since the checkpoint before, by which the best one is known. */
  readonly score?: number | undefined;
}

/** True for a state that no spike casts doubt on: a run may go back to it. */
export const isSound = ({ guard }: TrainingState): boolean => !guard?.streak;

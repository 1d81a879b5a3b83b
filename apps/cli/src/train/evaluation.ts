import { type Batch, loadEvaluation } from '@star-webgpu/data-lmdb';
import { evaluateStage, type Evaluation } from '@star-webgpu/trainer';
import type { TrainConfig } from './config/parse.ts';
import type { TrainingData } from './data.ts';
import type { Trained } from './trained.ts';

/** Metrics of the weights as they are on held-out pictures, which may be read as often as need be. */
export type Measure = (heldOut: () => AsyncIterable<Batch>) => Promise<Readonly<Record<string, number>>>;

/** Loss and metrics of the held-out pictures, where a config wants them. */
export function evaluationOf(
  { stage, sizes, tokens, measure }: Trained,
  { evaluation, training }: TrainConfig,
  { heldOut }: TrainingData,
): Evaluation | undefined {
  if (!evaluation || !heldOut) return undefined;
  const { every, pictures } = evaluation;
  const options = { ...heldOut, ...(pictures && { take: pictures }), batch: training.batch, size: sizes };
  return {
    every,
    measure: async () => ({
      ...(await evaluateStage(stage, loadEvaluation({ ...options, decode: !tokens }))),
      ...(await measure?.(() => loadEvaluation(options))),
    }),
  };
}

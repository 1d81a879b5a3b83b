import { hashedValues } from '@star-webgpu/tensor-webgpu/testing';
import { type Vqvae, type VqvaeConfig, vqvaeConfig } from '@star-webgpu/vqvae';
import type { TrainingBatch } from '../stage.ts';
import { VqvaeStage } from '../stages/vqvae.ts';
import type { TrainOptions } from '../train.ts';

/** A VQVAE whose step takes a moment. */
export const smallVqvae: VqvaeConfig = vqvaeConfig({
  channels: 8,
  channelMultipliers: [1, 2],
  normGroups: 4,
  residualBlocks: 1,
  codebookSize: 32,
  codeWidth: 8,
  patchNumbers: [1, 2, 4],
});

/** Batches that depend on their place only, from a cursor on. */
export async function* batchesFrom({ step }: TrainingBatch['cursor']): AsyncGenerator<TrainingBatch> {
  for (let at = step; ; at++) {
    const images = hashedValues(`batch/${at % 5}`, 2 * 3 * 64);
    yield {
      images,
      shape: [2, 3, 8, 8],
      captions: ['a', 'b'],
      keys: [`${at}a`, `${at}b`],
      cursor: { epoch: 0, step: at + 1 },
    };
  }
}

/** Training of such a VQVAE on such batches. */
export function smallRun(
  model: Vqvae,
  { steps, ...more }: { readonly steps: number; readonly folder: string } & Partial<TrainOptions>,
): TrainOptions {
  const [peak, decay] = [1e-3, 0.05];
  const revival = { reviveEvery: 3, reviveUntil: 100 };
  return {
    stage: new VqvaeStage(model, { seed: 1, absoluteWeight: 1, quantizeWeight: 0.25, ...revival }),
    batches: batchesFrom,
    schedule: { kind: 'cos', peak, warmup: 2, start: 0.1, end: 0.1, steps, weightDecay: decay, weightDecayEnd: decay },
    seed: 1,
    clipNorm: 1,
    saveEvery: 3,
    keep: 2,
    ...more,
  };
}

/** All weights as text, to compare bit for bit. */
export const bytesOf = async (model: Vqvae): Promise<string> =>
  JSON.stringify(
    [...(await model.hostWeights())].map(([name, { bytes }]) => [name, Buffer.from(bytes).toString('base64')]),
  );

import { join } from 'node:path';
import { loadStar } from '@star-webgpu/star-transformer';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { RefinerStage } from '@star-webgpu/trainer';
import { folderDigest } from '../folder-digest.ts';
import type { RefinerRun } from './config/refiner.ts';
import type { TrainingData } from './data.ts';
import { frozenModels } from './frozen-models.ts';
import type { Trained } from './trained.ts';
import { watchedDrawing } from './watched-drawing.ts';

/** The refiner of a model that was trained before, which gets one if it has none. */
export async function refinerStage(config: RefinerRun, data: TrainingData): Promise<Trained> {
  const { seed, modelFolder, refiner, captionDropout } = config;
  const folder = join(modelFolder, 'star');
  const star = await loadStar(folderFiles(folder), { addRefiner: refiner, seed });
  const { depth, sampleFrom } = star.refiner!.config;
  if (depth !== refiner.depth || sampleFrom !== refiner.sampleFrom)
    throw new Error(
      `refiner must be what the model of ${modelFolder} has, ${JSON.stringify({ depth, sampleFrom })}, got ${JSON.stringify(refiner)}. Correct the config, or begin with a model that has none.`,
    );
  const { vqvae, whole, text, tokens, sizes } = await frozenModels(config, data);
  const options = { seed, captionDropout, modelId: await folderDigest(folder), ...(tokens && { cache: tokens }) };
  return {
    stage: new RefinerStage({ star, vqvae, ...(text && { text }) }, options),
    sizes,
    tokens,
    ...(await watchedDrawing(config, { star, text, vqvae: whole })),
  };
}

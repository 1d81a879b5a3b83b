import { join } from 'node:path';
import { loadStar, StarAdapters } from '@star-webgpu/star-transformer';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { FinetuneStage } from '@star-webgpu/trainer';
import { folderDigest } from '../folder-digest.ts';
import type { FinetuneRun } from './config/finetune.ts';
import type { TrainingData } from './data.ts';
import { frozenModels } from './frozen-models.ts';
import type { Trained } from './trained.ts';
import { watchedDrawing } from './watched-drawing.ts';

/** A finished model on other pictures: its transformer, or adapters on it. */
export async function finetuneStage(config: FinetuneRun, data: TrainingData): Promise<Trained> {
  const { seed, captionDropout, labelSmoothing, lora, recompute, training } = config;
  const { precision, accumulate } = training;
  const folder = join(config.modelFolder, 'star');
  // Weights that do not learn need not be wider than what products take of them.
  const star = await loadStar(folderFiles(folder), { dtype: lora ? precision : 'f32' });
  const adapters = lora && new StarAdapters(star, lora, { seed });
  const { vqvae, whole, text, tokens, sizes } = await frozenModels(config, data);
  const stage = new FinetuneStage(
    { star, vqvae, ...(text && { text }) },
    {
      seed,
      captionDropout,
      labelSmoothing,
      recompute,
      accumulate,
      modelId: await folderDigest(folder),
      ...(adapters && { adapters }),
      ...(tokens && { cache: tokens }),
    },
  );
  const watched = await watchedDrawing(config, { star, text, vqvae: whole });
  return { stage, sizes, tokens, adapters, ...watched };
}

import { join } from 'node:path';
import { finishedPictures, generateFromPrompts, type PromptModels, type SamplingDefaults } from '@star-webgpu/sampler';
import type { Star } from '@star-webgpu/star-transformer';
import type { TextEncoder } from '@star-webgpu/text-encoder';
import type { Vqvae } from '@star-webgpu/vqvae';
import { writeGrid } from '../pictures.ts';
import type { RefinerRun } from './config/refiner.ts';
import type { StarRun } from './config/star.ts';
import { samplingOf } from './sampling.ts';

/** Pictures of the weights as they are. */
export interface Preview {
  isDue(step: number): boolean;
  /** Writes them into a folder. */
  draw(folder: string, step: number): Promise<void>;
}

/** Previews, where a config wants them: all models are there then. */
export async function previewIn(
  config: StarRun | RefinerRun,
  {
    star,
    text,
    vqvae,
  }: { readonly star: Star; readonly text: TextEncoder | undefined; readonly vqvae: Vqvae | undefined },
): Promise<{ preview?: Preview }> {
  const { preview } = config;
  if (!preview || !text || !vqvae) return {};
  return { preview: previewOf({ star, text, vqvae }, { ...preview, sampling: await samplingOf(config) }) };
}

type PreviewOptions = NonNullable<StarRun['preview']> & { readonly sampling: SamplingDefaults | undefined };

const previewOf = (models: PromptModels, { every, prompts, sampling }: PreviewOptions): Preview => ({
  isDue: (step) => step % every === 0,
  draw: async (folder, step) => {
    const pictures = await finishedPictures(models, generateFromPrompts(models, prompts, { ...sampling, seed: 1 }));
    await writeGrid([pictures], { columns: prompts.length }, join(folder, `step-${String(step).padStart(8, '0')}.png`));
  },
});

import {
  finishedPictures,
  generateFromPrompts,
  type Pictures,
  type PromptModels,
  type PromptOptions,
} from '@star-webgpu/sampler';
import type { EncodedPicture } from '@star-webgpu/trainer';
import { pictureGrid } from '../pictures.ts';
import { promptBatches } from '../prompt-batches.ts';

/** Pictures of the weights as they are. */
export interface Preview {
  /** Steps between previews. */
  readonly every: number;
  draw(): Promise<EncodedPicture>;
}

/** Pictures of prompts by a model in training, in their order, from the same seeds each time. */
export async function drawPictures(
  models: PromptModels,
  prompts: readonly string[],
  options: PromptOptions,
): Promise<Pictures[]> {
  const orders = prompts.map((prompt, i) => ({ prompt, seed: 1 + i }));
  const drawn: Pictures[] = [];
  for (const batch of promptBatches(models, orders, prompts.length)) {
    const asked = { ...options, seed: batch.map(({ seed }) => seed) };
    const captions = batch.map(({ prompt }) => prompt);
    drawn.push(await finishedPictures(models, generateFromPrompts(models, captions, asked)));
  }
  return drawn;
}

/** One picture a prompt, side by side. */
export const promptPreview = (
  models: PromptModels,
  { every, prompts }: { readonly every: number; readonly prompts: readonly string[] },
  options: PromptOptions,
): Preview => ({
  every,
  draw: async () => pictureGrid(await drawPictures(models, prompts, options), { columns: prompts.length }),
});

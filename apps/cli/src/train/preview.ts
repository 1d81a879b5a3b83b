import {
  finishedPictures,
  generateFromPrompts,
  type Pictures,
  type PromptModels,
  type PromptOptions,
} from '@star-webgpu/sampler';
import type { EncodedPicture } from '@star-webgpu/trainer';
import { pictureGrid } from '../pictures.ts';

/** Pictures of the weights as they are. */
export interface Preview {
  /** Steps between previews. */
  readonly every: number;
  draw(): Promise<EncodedPicture>;
}

/** Pictures of prompts by a model in training, from the same seed each time. */
export const drawPictures = (
  models: PromptModels,
  prompts: readonly string[],
  options: PromptOptions,
): Promise<Pictures> => finishedPictures(models, generateFromPrompts(models, prompts, { ...options, seed: 1 }));

/** One picture a prompt, side by side. */
export const promptPreview = (
  models: PromptModels,
  { every, prompts }: { readonly every: number; readonly prompts: readonly string[] },
  options: PromptOptions,
): Preview => ({
  every,
  draw: async () => pictureGrid([await drawPictures(models, prompts, options)], { columns: prompts.length }),
});

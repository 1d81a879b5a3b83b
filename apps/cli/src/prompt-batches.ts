import type { Prompt } from '@star-webgpu/sampler';
import type { StarConfig } from '@star-webgpu/star-transformer';

/**
 * Cuts pictures into batches, in their order. A model that lets every picture of a batch see the first one's text, as the released
 * ones do, gets batches of one prompt: else all would show the first.
 */
export function promptBatches<T extends { readonly prompt: Prompt }>(
  { star }: { readonly star: { readonly config: Pick<StarConfig, 'crossAttention'> } },
  pictures: readonly T[],
  batch: number,
): T[][] {
  const isShared = star.config.crossAttention === 'first-sample';
  const same = (a: T, b: T): boolean => JSON.stringify(a.prompt) === JSON.stringify(b.prompt);
  const batches: T[][] = [];
  for (const picture of pictures) {
    const last = batches.at(-1);
    if (last && last.length < batch && (!isShared || same(last[0]!, picture))) last.push(picture);
    else batches.push([picture]);
  }
  return batches;
}

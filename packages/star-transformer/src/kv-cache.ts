import type { TextFeatures } from '@star-webgpu/text-encoder';
import type { Tensor } from '@star-webgpu/tensor-webgpu';
import type { KeyValues } from './attention.ts';
import type { BlockText } from './block.ts';

/** What sampling carries from scale to scale; a step gives a new one and leaves the old as it was. */
export interface KvCache {
  /** Index of the next scale. */
  readonly scale: number;
  readonly text: TextFeatures;
  /** Each block's keys and values of the text. */
  readonly texts: readonly BlockText[];
  /** Each block's keys and values of all scales so far; empty before the first. */
  readonly past: readonly KeyValues[];
}

/** Frees what a step replaced: keys and values of the scales, not those of the text. */
export function disposePast({ past }: KvCache): void {
  for (const { key, value } of past) {
    key.dispose();
    value.dispose();
  }
}

/** Frees a cache altogether, except for the text features it was made from. */
export function disposeCache(cache: KvCache): void {
  disposePast(cache);
  const owned = cache.texts.flatMap(({ key, value }): Tensor[] => [key, value]);
  for (const tensor of owned) tensor.dispose();
}

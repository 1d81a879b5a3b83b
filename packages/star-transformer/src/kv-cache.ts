import { slice, type Tensor, writeSlice } from '@star-webgpu/tensor-webgpu';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import type { MapSize } from '@star-webgpu/vqvae/scales';

/** Keys and values of tokens. [B, l, N, d] each. */
export interface KeyValues {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** The text as one block's cross-attention sees it. */
export interface BlockText extends KeyValues {
  /** u32 [B, T] */
  readonly mask_BT: Tensor;
}

/** What sampling carries from scale to scale. */
export interface KvCache {
  /** Size of the latent map that is sampled. */
  readonly latent: MapSize;
  readonly text: TextFeatures;
  /** Each block's keys and values of the text. */
  readonly texts: readonly BlockText[];
  /** Each block's keys and values with room for every token; a step fills in the rows of its scale. [B, L, N, d] */
  readonly tokens: readonly KeyValues[];
}

/** One block's part of a cache, and the row at which the present scale begins. */
export interface CacheRows extends KeyValues {
  readonly start: number;
}

/** Writes a scale's keys and values into the cache, in place; gives those of all tokens so far, as views. */
export function fillRows({ key, value, start }: CacheRows, scale: KeyValues): KeyValues {
  const end = start + scale.key.shape[1]!;
  writeSlice(key, scale.key, { axis: 1, start });
  writeSlice(value, scale.value, { axis: 1, start });
  return { key: slice(key, 1, 0, end), value: slice(value, 1, 0, end) };
}

/** A cache's first batch elements, as views: what sampling goes on with where the others are no longer wanted. */
export function firstRows(cache: KvCache, rows: number): KvCache {
  if (cache.text.pooled.shape[0] === rows) return cache;
  const first = (x: Tensor): Tensor => slice(x, 0, 0, rows);
  const { states, mask, pooled } = cache.text;
  return {
    latent: cache.latent,
    text: { states: first(states), mask: first(mask), pooled: first(pooled) },
    texts: cache.texts.map(({ key, value, mask_BT }) => ({
      key: first(key),
      value: first(value),
      mask_BT: first(mask_BT),
    })),
    tokens: cache.tokens.map(({ key, value }) => ({ key: first(key), value: first(value) })),
  };
}

/** Frees a cache, except for the text features it was made from. */
export function disposeCache({ texts, tokens }: KvCache): void {
  for (const { key, value } of [...texts, ...tokens]) {
    key.dispose();
    value.dispose();
  }
}

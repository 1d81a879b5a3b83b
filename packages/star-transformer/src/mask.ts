import { type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { type MapSize, tokenOffsets, tokenScales } from '@star-webgpu/vqvae/scales';

/**
 * Keys that each token sees: those of its own scale and of all coarser ones, as one end per token, for latent maps of a size, square if
 * not given; or for the first `count` of the tokens alone. u32 [L].
 */
export function blockCausalLimits(patchNumbers: readonly number[], latent?: MapSize, count?: number): Tensor {
  const offsets = tokenOffsets(patchNumbers, latent);
  const last = count ?? offsets.at(-1)!;
  const ends = tokenScales(patchNumbers, latent)
    .slice(0, last)
    .map((scale) => Math.min(offsets[scale + 1]!, last));
  return tensor(ends, [ends.length], { dtype: 'u32' });
}

/**
 * Keys that each token sees beside the leading one, where token maps stand apart behind one leading token: the leading token all, the
 * others those of their own map, as a begin and an end per token. u32 [1 + l, 2].
 */
export function segmentRanges(maps: readonly MapSize[]): Tensor {
  const rows: number[] = [];
  let start = 1;
  for (const { height, width } of maps) {
    const end = start + height * width;
    for (let token = start; token < end; token++) rows.push(start, end);
    start = end;
  }
  return tensor([0, start, ...rows], [start, 2], { dtype: 'u32' });
}

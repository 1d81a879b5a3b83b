import { type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { type MapSize, tokenOffsets, tokenScales } from '@star-webgpu/vqvae/scales';

/** Keys that each token sees: those of its own scale and of all coarser ones, as one end per token, for latent maps of a size, square if not given. u32 [L]. */
export function blockCausalLimits(patchNumbers: readonly number[], latent?: MapSize): Tensor {
  const offsets = tokenOffsets(patchNumbers, latent);
  const ends = tokenScales(patchNumbers, latent).map((scale) => offsets[scale + 1]!);
  return tensor(ends, [ends.length], { dtype: 'u32' });
}

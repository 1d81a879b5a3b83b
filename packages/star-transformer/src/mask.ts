import { type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { tokenOffsets, tokenScales } from '@star-webgpu/vqvae/scales';

/** Keys that each token sees: those of its own scale and of all coarser ones, as one end per token. u32 [L]. */
export function blockCausalLimits(patchNumbers: readonly number[]): Tensor {
  const offsets = tokenOffsets(patchNumbers);
  const ends = tokenScales(patchNumbers).map((scale) => offsets[scale + 1]!);
  return tensor(ends, [ends.length], { dtype: 'u32' });
}

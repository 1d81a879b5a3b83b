import { extrapolate, slice, type Tensor } from '@star-webgpu/tensor-webgpu';

/** Place of a scale between the first (0) and the last (1); 0 for a single scale. */
export const scaleRatio = (scale: number, scales: number): number => (scales > 1 ? scale / (scales - 1) : 0);

/**
 * Classifier-free guidance: (1 + t) conditional - t unconditional, with t a number or f32 [1].
 * logits: [2B, l, V], conditional rows first; or [B, l, V], which are not guided -> [B, l, V].
 */
export function guide(logits_BlV: Tensor, B: number, strength: number | Tensor): Tensor {
  if (logits_BlV.shape[0] === B) return logits_BlV;
  return extrapolate(slice(logits_BlV, 0, 0, B), slice(logits_BlV, 0, B, 2 * B), strength);
}

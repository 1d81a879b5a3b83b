import { add, mul, slice, type Tensor } from '@star-webgpu/tensor-webgpu';

/** Place of a scale between the first (0) and the last (1); 0 for a single scale. */
export const scaleRatio = (scale: number, scales: number): number => (scales > 1 ? scale / (scales - 1) : 0);

/** Strength of classifier-free guidance at a scale: it grows linearly from 0 at the first to `guidance` at the last (VAR, section 4). */
export const guidanceStrength = (guidance: number, scale: number, scales: number): number =>
  guidance * scaleRatio(scale, scales);

/**
 * Classifier-free guidance: (1 + t) conditional - t unconditional.
 * logits: [2B, l, V], conditional rows first; or [B, l, V] where the strength is 0 -> [B, l, V].
 */
export function guide(logits_BlV: Tensor, B: number, strength: number): Tensor {
  const conditional_BlV = slice(logits_BlV, 0, 0, B);
  if (strength === 0) return conditional_BlV;
  const unconditional_BlV = slice(logits_BlV, 0, B, 2 * B);
  return add(mul(conditional_BlV, 1 + strength), mul(unconditional_BlV, -strength));
}

import { type Filter, filterLogits, reshape, type Tensor } from '@star-webgpu/tensor-webgpu';

/** Logits of every token as rows. logits: [B, l, V] -> [B l, V]. */
export function rowsOfTokens(logits_BlV: Tensor): Tensor {
  const [B, l, V] = logits_BlV.shape as [number, number, number];
  return reshape(logits_BlV, [B * l, V]);
}

/** Top-k, then top-p, for every token; dropped logits are -infinity. logits: [B, l, V] -> [B, l, V]. */
export const filterTokens = (logits_BlV: Tensor, filter: Filter): Tensor =>
  reshape(filterLogits(rowsOfTokens(logits_BlV), filter), logits_BlV.shape);

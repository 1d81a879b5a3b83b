import type { Tensor } from '@star-webgpu/tensor-webgpu';

/** What a text tower says about B prompts of T tokens each, D wide. */
export interface TextFeatures {
  /** Last hidden states after the final norm. [B, T, D] f32. */
  readonly states: Tensor;
  /** 1 where a token is real, 0 where it is padding. [B, T] u32. */
  readonly mask: Tensor;
  /** One vector a prompt. [B, D] f32. */
  readonly pooled: Tensor;
}

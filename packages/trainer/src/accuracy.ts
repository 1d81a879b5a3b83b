import { argmax, cast, equal, mean, noGrad, type Tensor } from '@star-webgpu/tensor-webgpu';

/** Share of rows whose largest logit is the target. logits: [R, V], targets: u32 [R] -> f32 []. */
export const tokenAccuracy = (logits_RV: Tensor, targets_R: Tensor): Tensor =>
  noGrad(() => mean(cast(equal(argmax(logits_RV), targets_R), 'f32')));

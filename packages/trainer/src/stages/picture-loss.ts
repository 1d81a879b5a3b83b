import { abs, add, mean, mul, square, sub, type Tensor } from '@star-webgpu/tensor-webgpu';

/** A loss that compares pictures as people do: a frozen network such as LPIPS. */
export interface PerceptualLoss {
  readonly weight: number;
  /** Distances of B pairs, with gradients to the first. got, want: [B, H, W, 3] in -1..1 -> [B]. */
  readonly distance: (got_BHW3: Tensor, want_BHW3: Tensor) => Tensor;
}

export interface PictureLossOptions {
  /** Weight of the mean absolute error. */
  readonly absoluteWeight: number;
  /** Weight of the mean squared error; 1 if not given. */
  readonly squaredWeight?: number;
  readonly perceptual?: PerceptualLoss | undefined;
}

/** A loss with the numbers that it is made of. */
export interface MeasuredLoss {
  /** f32 [] */
  readonly loss: Tensor;
  readonly metrics: Readonly<Record<string, Tensor>>;
}

/** How far pictures are from those that they should be. got, want: [B, H, W, 3]. */
export function pictureLoss(
  got_BHW3: Tensor,
  want_BHW3: Tensor,
  { absoluteWeight, squaredWeight = 1, perceptual }: PictureLossOptions,
): MeasuredLoss {
  const error = sub(got_BHW3, want_BHW3);
  const [pixel, absolute] = [mean(square(error)), mean(abs(error))];
  const loss = add(mul(pixel, squaredWeight), mul(absolute, absoluteWeight));
  if (!perceptual) return { loss, metrics: { pixel, absolute } };
  const seen = mean(perceptual.distance(got_BHW3, want_BHW3));
  return { loss: add(loss, mul(seen, perceptual.weight)), metrics: { pixel, absolute, perceptual: seen } };
}

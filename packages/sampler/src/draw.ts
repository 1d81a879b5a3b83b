import {
  add,
  drawTokens,
  embedding,
  gumbel,
  matmul,
  mul,
  reshape,
  type Seed,
  softmax,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import { filterTokens, rowsOfTokens } from './filter.ts';
import { scaleRatio } from './guidance.ts';
import type { ResolvedOptions } from './options.ts';

/** What a draw depends on, beside the logits. */
export interface DrawNumbers extends Pick<ResolvedOptions, 'topK' | 'topP' | 'smooth'> {
  /** One for each picture. */
  readonly seed: Seed;
}

/** Streams of random numbers under a picture's seed: each scale has one for its draws and one for its smoothing noise. */
const drawStream = (scale: number): number => 2 * scale;
const noiseStream = (scale: number): number => 2 * scale + 1;

/** What is drawn at a scale. */
export interface Drawn {
  /** u32 [B, l]. */
  readonly indices_Bl: Tensor;
  /** Code vectors, [B, l, Z]. */
  readonly codes_BlZ: Tensor;
}

/** Which scale is drawn, out of how many. */
export interface ScalePlace {
  readonly scale: number;
  readonly scales: number;
}

/** One draw a token after top-k and top-p, and its code vectors. logits: [B, l, V], codebook: [V, Z]. */
export function draw(logits_BlV: Tensor, codebook_VZ: Tensor, place: ScalePlace, options: DrawNumbers): Drawn {
  const { topK, topP, seed, smooth } = options;
  const drawn = drawTokens(rowsOfTokens(logits_BlV), { topK, topP, seed, stream: drawStream(place.scale) });
  const indices_Bl = reshape(drawn, logits_BlV.shape.slice(0, 2));
  const codes_BlZ = smooth ? mixCodes(logits_BlV, codebook_VZ, place, options) : embedding(codebook_VZ, indices_Bl);
  return { indices_Bl, codes_BlZ };
}

/** Temperature of the mixture at a scale: it falls from 0.27 to 0.0135 as detail grows. */
const mixtureTemperature = (ratio: number): number => Math.max(0.27 * (1 - 0.95 * ratio), 0.005);

/** softmax((filtered logits (1 + ratio) + Gumbel noise) / temperature) @ codebook, the "more smooth" draw of VAR. */
function mixCodes(
  logits_BlV: Tensor,
  codebook_VZ: Tensor,
  { scale, scales }: ScalePlace,
  { topK, topP, seed }: DrawNumbers,
): Tensor {
  const ratio = scaleRatio(scale, scales);
  const noise_BlV = gumbel(logits_BlV.shape, { seed, stream: noiseStream(scale) });
  const sharpened_BlV = add(mul(filterTokens(logits_BlV, { topK, topP }), 1 + ratio), noise_BlV);
  return matmul(softmax(mul(sharpened_BlV, 1 / mixtureTemperature(ratio))), codebook_VZ);
}

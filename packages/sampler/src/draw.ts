import {
  add,
  type DeviceFilter,
  div,
  drawTokens,
  drawWithConfidence,
  embedding,
  entropy,
  exp,
  gumbel,
  matmul,
  mul,
  reshape,
  type Seed,
  slice,
  softmax,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import { filterTokens, rowsOfTokens } from './filter.ts';
import { scaleRatio } from './guidance.ts';
import type { EntropyTemperature, ResolvedOptions } from './options.ts';
import type { StableDraw } from './stable.ts';

/** What a draw depends on, beside the logits. */
export interface DrawNumbers extends Pick<ResolvedOptions, 'smooth' | 'entropyTemperature'> {
  /** Top-k, top-p and temperature of the scale. */
  readonly filter: DeviceFilter;
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
export function draw(logits_BlV: Tensor, codebook_VZ: Tensor, place: ScalePlace, numbers: DrawNumbers): Drawn {
  const source = { seed: numbers.seed, stream: drawStream(place.scale) };
  const indexed = (drawn: Tensor): Tensor => reshape(drawn, logits_BlV.shape.slice(0, 2));
  if (!numbers.smooth && !numbers.entropyTemperature) {
    const indices_Bl = indexed(drawTokens(rowsOfTokens(logits_BlV), { ...numbers.filter, ...source }));
    return { indices_Bl, codes_BlZ: embedding(codebook_VZ, indices_Bl) };
  }
  const kept_BlV = temperedLogits(logits_BlV, numbers);
  const indices_Bl = indexed(drawTokens(rowsOfTokens(kept_BlV), source));
  const codes_BlZ = numbers.smooth
    ? mixCodes(kept_BlV, codebook_VZ, place, numbers.seed)
    : embedding(codebook_VZ, indices_Bl);
  return { indices_Bl, codes_BlZ };
}

/** One draw a token after top-k and top-p, and how probable it was among what they left. logits: [B, l, V] -> [B, l] each. */
export function drawSurely(
  logits_BlV: Tensor,
  { filter, entropyTemperature, seed }: DrawNumbers,
  stream: number,
): StableDraw {
  const shape = logits_BlV.shape.slice(0, 2);
  const { indices, confidence } = entropyTemperature
    ? drawWithConfidence(rowsOfTokens(temperedLogits(logits_BlV, { filter, entropyTemperature })), { seed, stream })
    : drawWithConfidence(rowsOfTokens(logits_BlV), { ...filter, seed, stream });
  return { drawn_Bl: reshape(indices, shape), scores_Bl: reshape(confidence, shape) };
}

/** Logits that top-k and top-p have left, divided by the temperature, and by that of their entropy. [B, l, V]. */
function temperedLogits(
  logits_BlV: Tensor,
  { filter, entropyTemperature }: Pick<DrawNumbers, 'filter' | 'entropyTemperature'>,
): Tensor {
  const temperature = slice(filter.values, 0, 2, 3);
  const kept_BlV = div(filterTokens(logits_BlV, filter), temperature);
  return entropyTemperature ? div(kept_BlV, temperatureOfEntropy(kept_BlV, entropyTemperature)) : kept_BlV;
}

/** amplitude exp(-H / decay) + floor of each token. logits: [B, l, V] -> [B, l, 1]. */
function temperatureOfEntropy(logits_BlV: Tensor, { amplitude, decay, floor }: EntropyTemperature): Tensor {
  const [B, l] = logits_BlV.shape as [number, number];
  const nats_Bl1 = reshape(entropy(logits_BlV), [B, l, 1]);
  return add(mul(exp(mul(nats_Bl1, -1 / decay)), amplitude), floor);
}

/** Temperature of the mixture at a scale: it falls from 0.27 to 0.0135 as detail grows. */
const mixtureTemperature = (ratio: number): number => Math.max(0.27 * (1 - 0.95 * ratio), 0.005);

/** softmax((filtered logits (1 + ratio) + Gumbel noise) / temperature) @ codebook, the "more smooth" draw of VAR. */
function mixCodes(kept_BlV: Tensor, codebook_VZ: Tensor, { scale, scales }: ScalePlace, seed: Seed): Tensor {
  const ratio = scaleRatio(scale, scales);
  const noise_BlV = gumbel(kept_BlV.shape, { seed, stream: noiseStream(scale) });
  const sharpened_BlV = add(mul(kept_BlV, 1 + ratio), noise_BlV);
  return matmul(softmax(mul(sharpened_BlV, 1 / mixtureTemperature(ratio))), codebook_VZ);
}

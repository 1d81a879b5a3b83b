import { presetConfigs, plannedOptions, presetModels, resolveOptions, SamplingPlan } from '@star-webgpu/sampler';
import type { StarPreset } from '@star-webgpu/star-transformer';
import {
  bytesPerElement,
  type Module,
  noGrad,
  plan,
  type PlanSize,
  type Precision,
  withParameters,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import { imageSize, latentSize, type Ratio, tokenCount } from '@star-webgpu/vqvae';

/** What one guided picture of a published size takes, known without weights and without running anything. */
export interface PicturePlan {
  readonly preset: StarPreset;
  readonly precision: Precision;
  /** Of the picture, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly scales: number;
  /** Tokens of all scales; with guidance twice as many are computed. */
  readonly tokens: number;
  readonly dispatches: number;
  readonly parameters: Readonly<Record<Model, number>>;
  /** Of products and attention. */
  readonly flops: Readonly<Record<Work, number>>;
  readonly bytes: Readonly<Record<Memory, number>>;
  /** What the device does not grant, each with the tensor, its size, the limit, and what to do. */
  readonly refusals: readonly string[];
}

type Model = 'transformer' | 'VQVAE' | 'text tower';
type Work = 'text tower' | 'scales' | 'decoder';
type Memory =
  | 'transformer weights'
  | 'VQVAE weights'
  | 'text weights'
  | 'cache'
  | 'activations'
  | 'decoder'
  | 'text tower';

const nothing: PlanSize = { dispatches: 0, flops: 0, bytes: 0, lastingBytes: 0, unsharedBytes: 0 };

const countOf = (model: Module): number => [...model.namedTensors().values()].reduce((sum, { size }) => sum + size, 0);
const weightBytes = (model: Module): number =>
  [...model.namedTensors().values()].reduce((sum, { size, dtype }) => sum + size * bytesPerElement[dtype], 0);

/**
 * Records one guided picture of a preset on the current device. Buffers are only promised, so nothing is allocated.
 * @throws TensorError naming a parameter that no buffer of the device holds.
 */
export function planPicture(preset: StarPreset, precision: Precision, ratio: Ratio = '1:1'): PicturePlan {
  const { models } = plan(() =>
    withParameters({ values: 'none', dtype: precision }, () => ({ models: presetModels(preset) })),
  ).result;
  const { star, vqvae, text } = models;
  const { patchNumbers, textWidth } = star.config;
  const options = plannedOptions(resolveOptions({ ratio }, 1, star.config));
  const spec = { ...options, edits: false, B: 1, T: text.model.config.positions, D: textWidth };
  const sampling = new SamplingPlan({ star: star.freeze(), vqvae: vqvae.freeze(), precision }, spec);
  text.model.freeze();
  const refusals: string[] = [];
  const tried = <T>(work: Work, size: () => T, none: T): T =>
    triedOr(none, size, (fault) => refusals.push(`${work}: ${fault}`));
  const prompts = (): PlanSize => plan(() => noGrad(() => withPrecision(precision, () => text.encode(['', ''])))).size;
  const words = tried('text tower', prompts, nothing);
  const scales = tried('scales', () => sampling.scaleSizes(), []);
  const cache = scales.length ? sampling.cacheBytes() : 0;
  const shared = sampling.sharedBytes;
  const decoder = tried('decoder', () => sampling.decoderSize(), nothing);
  const sum = (part: 'dispatches' | 'flops' | 'lastingBytes', sizes: readonly PlanSize[]): number =>
    sizes.reduce((total, size) => total + size[part], 0);
  return {
    preset,
    precision,
    ...imageSize(presetConfigs(preset).vqvae, ratio),
    scales: patchNumbers.length,
    tokens: tokenCount(patchNumbers, latentSize(patchNumbers, ratio)),
    dispatches: sum('dispatches', [words, ...scales, decoder]),
    parameters: { transformer: countOf(star), VQVAE: countOf(vqvae), 'text tower': countOf(text.model) },
    flops: { 'text tower': words.flops, scales: sum('flops', scales), decoder: decoder.flops },
    bytes: {
      'transformer weights': weightBytes(star),
      'VQVAE weights': weightBytes(vqvae),
      'text weights': weightBytes(text.model),
      cache,
      activations: sum('lastingBytes', scales) - cache + shared,
      // The decoder uses the scales' memory again, and more where that is not enough.
      decoder: decoder.lastingBytes + sampling.sharedBytes - shared,
      'text tower': words.bytes,
    },
    refusals,
  };
}

/** What something gives, or something else where it is refused. */
function triedOr<T>(none: T, run: () => T, refused: (fault: string) => void): T {
  try {
    return run();
  } catch (error) {
    refused(error instanceof Error ? error.message : String(error));
    return none;
  }
}

/** All parts together, such as the memory of all kinds. */
export const total = (parts: Readonly<Record<string, number>>): number =>
  Object.values(parts).reduce((sum, value) => sum + value, 0);

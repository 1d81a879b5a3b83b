import { type Module, permute, slice, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { goldenWeights, hashed, loadGoldenJson, type Manifest, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import { Star, starConfig, type StarConfig } from '@star-webgpu/star-transformer';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { generate, type GenerateOptions, type GuidedText, type Models } from '../generate.ts';

/** A file of published numbers. */
export const golden = (file: string): URL => new URL(`../../test/golden/${file}`, import.meta.url);

/** Weights of the published numbers, as far as a model has them: one without a refiner takes none of its. */
async function loadHashed(model: Module, file: string): Promise<void> {
  const own = model.namedTensors();
  model.load(goldenWeights(await loadGoldenJson<Manifest>(golden(file)), (name) => own.has(name)));
}

/** Sizes that the transformer and the VQVAE share. */
export const hashedShape: { patchNumbers: number[]; codeWidth: number; codebookSize: number } = {
  patchNumbers: [1, 2, 4, 8],
  codeWidth: 8,
  codebookSize: 64,
};

/** The models of the published numbers, with either cross-attention, and with the refiner where the config has one. */
export async function hashedModels(
  config: Partial<Pick<StarConfig, 'crossAttention' | 'refiner'>> = {},
): Promise<Models> {
  const star = new Star(starConfig({ ...hashedShape, depth: 3, width: 128, heads: 2, textWidth: 32, ...config }));
  const vqvae = new Vqvae(
    vqvaeConfig({ ...hashedShape, channels: 8, channelMultipliers: [1, 1], residualBlocks: 1, normGroups: 4 }),
  );
  await loadHashed(star, 'star_manifest.json');
  await loadHashed(vqvae.quantizer, 'star_quantizer_manifest.json');
  return { star, vqvae };
}

/** Features of B prompts of 7 tokens, the first `lengths[b]` of which are real. */
export function features(prefix: string, lengths: readonly number[]): TextFeatures {
  const B = lengths.length;
  const mask = lengths.flatMap((length) => Array.from({ length: 7 }, (_, t) => (t < length ? 1 : 0)));
  return {
    states: hashed(`${prefix}text`, [B, 7, 32]),
    mask: tensor(mask, [B, 7], { dtype: 'u32' }),
    pooled: hashed(`${prefix}pool`, [B, 32], 0.5),
  };
}

/** One row of features. */
export const row = ({ states, mask, pooled }: TextFeatures, index: number): TextFeatures => {
  const one = (x: Tensor): Tensor => slice(x, 0, index, index + 1);
  return { states: one(states), mask: one(mask), pooled: one(pooled) };
};

/** What a sampling draws. */
export interface Sample {
  readonly indices: readonly number[][];
  /** [B, Z, h, w] of the last scale. */
  readonly latent: Float32Array;
}

/** Draws to the end: tokens of every scale, and the latent map. */
export async function sample(from: Models, about: GuidedText, options: GenerateOptions): Promise<Sample> {
  const indices: number[][] = [];
  let latent = new Float32Array();
  for await (const { indices_Bl, sum_BhwZ } of generate(from, about, options)) {
    indices.push([...(await valuesOf(indices_Bl))]);
    latent = Float32Array.from(await valuesOf(permute(sum_BhwZ, [0, 3, 1, 2])));
  }
  return { indices, latent };
}

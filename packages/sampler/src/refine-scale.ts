import { concat, embedding, full, type Tensor, uniform } from '@star-webgpu/tensor-webgpu';
import type { Refiner } from '@star-webgpu/star-transformer';
import type { MapSize } from '@star-webgpu/vqvae';
import { drawSurely, type Drawn, type DrawNumbers } from './draw.ts';
import { guide } from './guidance.ts';
import { mostSteps } from './refine-options.ts';
import { drawStable, type StableVersion } from './stable.ts';

/** What a scale is refined with. */
export interface RefineScale {
  readonly refiner: Refiner;
  readonly version: StableVersion;
  readonly steps: number;
  readonly scale: number;
  readonly latent: MapSize;
  /** [V, Z] */
  readonly codebook_VZ: Tensor;
  /** Features of the scale and pooled texts: of B pictures, or of their unconditional rows as well. */
  readonly features_BlC: Tensor;
  readonly pooled_BD: Tensor;
  /** Guided logits of the main head. */
  readonly main: () => Tensor;
  /** Strength of the refiner's guidance. [1] */
  readonly guidance: Tensor;
  readonly numbers: DrawNumbers;
  /** Tokens that are given, V where they are open; all are open if not given. u32 [B, l]. */
  readonly given_Bl?: Tensor;
}

/** Draws the tokens of a scale of B pictures in steps. */
export function refineScale(B: number, options: RefineScale): Drawn {
  const { refiner, scale, latent, codebook_VZ, features_BlC, pooled_BD, guidance, numbers } = options;
  const [rows, l] = features_BlC.shape as [number, number];
  const state = refiner.begin(scale, { features_BlC, pooled_BD, latent });
  const forRows = (x: Tensor): Tensor => (rows > B ? concat([x, x], 0) : x);
  const heads = {
    main: options.main,
    refined: (codes_BlZ: Tensor): Tensor =>
      guide(refiner.logits(refiner.features(state, forRows(codes_BlZ))), B, guidance),
    draw: (logits_BlV: Tensor, step: number) => drawSurely(logits_BlV, numbers, refineStream(scale, step, 'draw')),
    random: (step: number): Tensor =>
      uniform([B, l], { seed: numbers.seed, stream: refineStream(scale, step, 'order') }),
  };
  const start_Bl = options.given_Bl ?? full([B, l], codebook_VZ.shape[0]!, { dtype: 'u32' });
  const indices_Bl = drawStable(heads, start_Bl, options);
  return { indices_Bl, codes_BlZ: embedding(codebook_VZ, indices_Bl) };
}

/** Streams of random numbers under a picture's seed, beyond those of scales that are drawn at once: two for each step. */
export const refineStream = (scale: number, step: number, use: 'draw' | 'order'): number =>
  2 ** 20 + 2 * (mostSteps * scale + step) + Number(use === 'order');

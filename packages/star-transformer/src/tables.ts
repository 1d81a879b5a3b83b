import { embedding, reshape, slice, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { type MapSize, tokenMaps, tokenScales } from '@star-webgpu/vqvae/scales';
import type { Positions } from './attention.ts';
import type { StarConfig } from './config.ts';
import { blockCausalLimits } from './mask.ts';
import { ropeTable } from './rope.ts';

/** What depends on the places of the tokens alone. */
export interface TokenTables extends Required<Pick<Positions, 'rope_ld2' | 'limits_L'>> {
  /** Scale of each token, u32 [L]. */
  readonly scales_L: Tensor;
}

/** Which tokens of all scales there are. */
export interface TokenChoice {
  /** Number of the tokens: all, or the first so many. */
  readonly count?: number | undefined;
  /** Places of the tokens, where they are not the first ones: all of the coarser scales, then some of one scale. u32 [count]. */
  readonly places_l?: Tensor | undefined;
}

/** Tables of the tokens of latent maps of a size. All but those of all tokens leave tensors for the scope around them to free. */
export function tokenTables(
  { patchNumbers, width, heads }: Pick<StarConfig, 'patchNumbers' | 'width' | 'heads'>,
  latent: MapSize,
  { count, places_l }: TokenChoice = {},
): TokenTables {
  const scales = tokenScales(patchNumbers, latent).slice(0, count);
  const rope_Ld2 = ropeTable(tokenMaps(patchNumbers, latent), width / heads);
  return {
    rope_ld2: places_l ? rowsOf(rope_Ld2, places_l) : firstRows(rope_Ld2, scales.length),
    limits_L: blockCausalLimits(patchNumbers, latent, count),
    scales_L: tensor(scales, [scales.length], { dtype: 'u32' }),
  };
}

/** Rotations of the first places. [L, d/2, 2] -> [l, d/2, 2]. */
const firstRows = (rope_Ld2: Tensor, l: number): Tensor =>
  l === rope_Ld2.shape[0] ? rope_Ld2 : slice(rope_Ld2, 0, 0, l);

/** Rotations of some places. [L, d/2, 2] -> [l, d/2, 2]. */
function rowsOf(rope_Ld2: Tensor, places_l: Tensor): Tensor {
  const [L, half] = rope_Ld2.shape as [number, number];
  return reshape(embedding(reshape(rope_Ld2, [L, 2 * half]), places_l), [places_l.size, half, 2]);
}

import { type HostRandom, type Init, initNormal, initZeros } from '@star-webgpu/tensor-webgpu';
import type { TextConfig } from './config.ts';

/** Initial weights of a text tower by their place; biases start at 0, norms at 1. */
export interface TextInit {
  readonly embedding: Init;
  /** Queries, keys and values. */
  readonly mix: Init;
  /** End of the attention branch. */
  readonly mixEnd: Init;
  /** First layer of the feed-forward part. */
  readonly widen: Init;
  /** End of the feed-forward branch. */
  readonly widenEnd: Init;
}

/** CLIP's initial values (Radford et al., 2021): normal, by the width and the number of layers, so that they suit any size. */
export function textInit({ width, layers }: TextConfig, random: HostRandom): TextInit {
  const perWidth = width ** -0.5;
  const perBranch = (2 * layers) ** -0.5;
  return {
    embedding: initNormal(random, 0.02),
    mix: initNormal(random, perWidth * perBranch),
    mixEnd: initNormal(random, perWidth),
    widen: initNormal(random, (2 * width) ** -0.5),
    widenEnd: initNormal(random, perWidth * perBranch),
  };
}

/** No values of its own: for weights that are loaded. */
export const zeroTextInit: TextInit = {
  embedding: initZeros,
  mix: initZeros,
  mixEnd: initZeros,
  widen: initZeros,
  widenEnd: initZeros,
};

import { type HostRandom, type Init, initScaled, initTruncatedNormal } from '@star-webgpu/tensor-webgpu';
import type { StarConfig } from './config.ts';

/** Initial values of the published training: truncated normal of variance 1/(3C), smaller where branches and logits end. */
export interface StarInit {
  readonly weight: Init;
  /** Of the last layer of a residual branch: divided by sqrt(2 depth). */
  readonly branchEnd: Init;
  /** Of head_logits: times 0.02. */
  readonly head: Init;
}

/** The published initial values for a width and a depth, drawn from `random`. */
export function starInit({ width, depth }: Pick<StarConfig, 'width' | 'depth'>, random: HostRandom): StarInit {
  const weight = initTruncatedNormal(random, Math.sqrt(1 / (3 * width)));
  return { weight, branchEnd: initScaled(weight, 1 / Math.sqrt(2 * depth)), head: initScaled(weight, 0.02) };
}

import { type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { ropeSpan, ropeTheta } from './config.ts';
import type { MapSize } from '@star-webgpu/vqvae/scales';

/** Tokens of an axis span 0..64 whatever their number; the only one of its axis is at 0. */
const stretchOf = (side: number): number => (side > 1 ? ropeSpan / (side - 1) : 1);

/**
 * Angles of every token of one scale: its column and row, stretched so that each axis of each scale spans 0..64, times the frequencies
 * theta^(-4j/d); the first half of the channel pairs turns by the column, the second by the row. [h w, d/2], row-major.
 */
export function ropeAngles({ height, width }: MapSize, d: number): Float64Array {
  const quarter = d / 4;
  const angles = new Float64Array(height * width * 2 * quarter);
  for (let t = 0; t < height * width; t++) {
    for (let j = 0; j < quarter; j++) {
      const frequency = ropeTheta ** ((-4 * j) / d);
      angles[t * 2 * quarter + j] = (t % width) * stretchOf(width) * frequency;
      angles[t * 2 * quarter + quarter + j] = Math.floor(t / width) * stretchOf(height) * frequency;
    }
  }
  return angles;
}

/** Cosines and sines of the tokens of some token maps, in sequence order. [l, d/2, 2]. */
export function ropeTable(maps: readonly MapSize[], d: number): Tensor {
  const angles = maps.map((size) => ropeAngles(size, d));
  const pairs = new Float32Array(2 * angles.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const some of angles)
    for (const angle of some) {
      pairs[at++] = Math.cos(angle);
      pairs[at++] = Math.sin(angle);
    }
  return tensor(pairs, [pairs.length / d, d / 2, 2]);
}

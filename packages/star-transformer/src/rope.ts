import { type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { ropeSpan, ropeTheta } from './config.ts';

/**
 * Angles of every token of one scale: its column and row, stretched so that each scale spans 0..64, times the frequencies
 * theta^(-4j/d); the first half of the channel pairs turns by the column, the second by the row. [side^2, d/2], row-major.
 */
export function ropeAngles(side: number, d: number): Float64Array {
  const quarter = d / 4;
  const angles = new Float64Array(side * side * 2 * quarter);
  const stretch = side > 1 ? ropeSpan / (side - 1) : 1;
  for (let t = 0; t < side * side; t++) {
    for (let j = 0; j < quarter; j++) {
      const frequency = ropeTheta ** ((-4 * j) / d);
      angles[t * 2 * quarter + j] = (t % side) * stretch * frequency;
      angles[t * 2 * quarter + quarter + j] = Math.floor(t / side) * stretch * frequency;
    }
  }
  return angles;
}

/** Cosines and sines of some scales' tokens, in sequence order. [l, d/2, 2]. */
export function ropeTable(patchNumbers: readonly number[], d: number): Tensor {
  const pairs = patchNumbers.flatMap((side) =>
    Array.from(ropeAngles(side, d), (angle) => [Math.cos(angle), Math.sin(angle)]),
  );
  return tensor(pairs.flat(), [pairs.length / (d / 2), d / 2, 2]);
}

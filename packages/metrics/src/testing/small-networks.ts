import { hostTensor } from '@star-webgpu/tensor-webgpu';
import { hashedValues } from '@star-webgpu/tensor-webgpu/testing';
import { type InceptionConfig, inceptionConfig } from '../inception/config.ts';
import type { Inception } from '../inception/inception.ts';
import { inceptionOf, inceptionShapes } from '../inception/weights.ts';

/** A small network of the same form with hashed weights that keep the size of its activations. */
export function randomInception(given: Partial<InceptionConfig> = {}): Inception {
  const config = inceptionConfig({ classes: 10, ...given });
  const weights = [...inceptionShapes(config)].map(([name, shape]) => {
    const count = shape.reduce((product, side) => product * side, 1);
    const fanIn = count / shape[0]!;
    const [scale, offset] = name.includes('.bn.') ? [0.1, /weight|var/.test(name) ? 1 : 0] : [Math.sqrt(6 / fanIn), 0];
    return [name, hostTensor(hashedValues(`small/${name}`, count, scale, offset), shape)] as const;
  });
  return inceptionOf(config, new Map(weights));
}

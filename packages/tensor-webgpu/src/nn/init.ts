import { type Shape, sizeOf } from '../shape.ts';
import type { HostRandom } from './host-random.ts';

/** Initial values of a parameter, row-major. */
export type Init = (shape: Shape) => Float32Array;

const fill =
  (draw: () => number): Init =>
  (shape) =>
    Float32Array.from({ length: sizeOf(shape) }, draw);

export const initConstant = (value: number): Init => fill(() => value);
export const initZeros: Init = initConstant(0);
export const initOnes: Init = initConstant(1);

/** Normal with mean 0. */
export const initNormal = (random: HostRandom, std: number): Init => fill(() => std * random.normal());

/** Uniform in [-bound, bound). */
export const initUniform = (random: HostRandom, bound: number): Init => fill(() => bound * (2 * random.uniform() - 1));

/** Normal with mean 0, drawn again outside +-limit (absolute, as PyTorch's trunc_normal_ defaults to 2). */
export const initTruncatedNormal = (random: HostRandom, std: number, limit = 2): Init =>
  fill(() => {
    let value = std * random.normal();
    while (Math.abs(value) > limit) value = std * random.normal();
    return value;
  });

/** PyTorch's default for linear and convolution weights: uniform within 1/sqrt(fan in). */
export const initFanIn = (random: HostRandom, fanIn: number): Init => initUniform(random, 1 / Math.sqrt(fanIn));

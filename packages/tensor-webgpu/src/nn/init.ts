import { type Shape, sizeOf } from '../shape.ts';
import type { HostRandom } from './host-random.ts';

/** What initial values are drawn from, so that a device may draw them itself. */
export type InitLaw =
  | { readonly kind: 'constant'; readonly value: number }
  /** Drawn again outside +-limit. */
  | { readonly kind: 'normal'; readonly std: number; readonly limit: number }
  | { readonly kind: 'uniform'; readonly bound: number };

/** Initial values of a parameter, row-major, and what they are drawn from. */
export interface Init {
  (shape: Shape): Float32Array;
  readonly law: InitLaw;
}

const fill = (law: InitLaw, draw: () => number): Init =>
  Object.assign((shape: Shape) => Float32Array.from({ length: sizeOf(shape) }, draw), { law });

/** One value everywhere. */
export const initConstant = (value: number): Init => fill({ kind: 'constant', value }, () => value);
/** Zeros everywhere. */
export const initZeros: Init = initConstant(0);
/** Ones everywhere. */
export const initOnes: Init = initConstant(1);

/** Normal with mean 0. */
export const initNormal = (random: HostRandom, std: number): Init =>
  fill({ kind: 'normal', std, limit: Infinity }, () => std * random.normal());

/** Uniform in [-bound, bound). */
export const initUniform = (random: HostRandom, bound: number): Init =>
  fill({ kind: 'uniform', bound }, () => bound * (2 * random.uniform() - 1));

/** Normal with mean 0, drawn again outside +-limit (absolute, as PyTorch's trunc_normal_ defaults to 2). */
export const initTruncatedNormal = (random: HostRandom, std: number, limit = 2): Init =>
  fill({ kind: 'normal', std, limit }, () => {
    let value = std * random.normal();
    while (Math.abs(value) > limit) value = std * random.normal();
    return value;
  });

/** PyTorch's default for linear and convolution weights: uniform within 1/sqrt(fan in). */
export const initFanIn = (random: HostRandom, fanIn: number): Init => initUniform(random, 1 / Math.sqrt(fanIn));

/** Other initial values times a positive factor. */
export const initScaled = (init: Init, factor: number): Init =>
  Object.assign((shape: Shape) => init(shape).map((value) => value * factor), { law: scaledLaw(init.law, factor) });

function scaledLaw(law: InitLaw, factor: number): InitLaw {
  if (law.kind === 'constant') return { ...law, value: law.value * factor };
  if (law.kind === 'uniform') return { ...law, bound: law.bound * factor };
  return { ...law, std: law.std * factor, limit: law.limit * factor };
}

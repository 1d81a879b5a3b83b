import { currentDevice } from '../device/current.ts';
import { bytesPerElement, type DType } from '../dtype.ts';
import { check } from '../errors.ts';
import { map } from '../ops/map.ts';
import { normal, type RandomSource, uniform } from '../ops/random.ts';
import { scope } from '../scope.ts';
import { type Shape, sizeOf } from '../shape.ts';
import { empty, type Tensor, tensor } from '../tensor.ts';
import type { Init, InitLaw } from './init.ts';

/** How modules make their parameters. */
export interface ParameterOptions {
  /**
   * `host`: initial values drawn on the host, the same on every adapter; the default. `none`: no values, for weights that are loaded or
   * never needed, as when a plan's memory is all that is asked for. A seed: drawn on the device, tensor by tensor, which large models want.
   */
  readonly values?: 'host' | 'none' | { readonly seed: number };
  /** Type of matrices and filters; vectors stay f32. */
  readonly dtype?: 'f32' | 'f16';
}

interface Making {
  readonly values: 'host' | 'none' | { readonly seed: number };
  readonly dtype: 'f32' | 'f16';
  /** Parameters that were drawn on the device so far: each has a stream of its own. */
  readonly streams: { drawn: number };
}

let making: Making = { values: 'host', dtype: 'f32', streams: { drawn: 0 } };

/** Runs a function in which modules make their parameters in this way; what is left out stays as it is around it. */
export function withParameters<T>(options: ParameterOptions, run: () => T): T {
  const before = making;
  making = { ...before, ...options, streams: options.values ? { drawn: 0 } : before.streams };
  try {
    return run();
  } finally {
    making = before;
  }
}

const isMatrix = (shape: Shape): boolean => shape.filter((side) => side > 1).length > 1;

/** A parameter as the options in force want it. */
export function makeParameter(name: string, shape: Shape, init: Init): Tensor {
  const { values, streams } = making;
  const dtype = isMatrix(shape) ? making.dtype : 'f32';
  checkFits(name, shape, dtype);
  if (values === 'none') return empty(shape, dtype);
  if (values === 'host' || !isDrawable(init.law)) return tensor(init(shape), shape, { dtype });
  return scope(() => drawn(init.law, shape, { dtype, source: { seed: values.seed, stream: streams.drawn++ } }));
}

function checkFits(name: string, shape: Shape, dtype: 'f32' | 'f16'): void {
  const limit = currentDevice().largestTensorBytes;
  const bytes = sizeOf(shape) * bytesPerElement[dtype];
  check(
    'parameter',
    bytes <= limit,
    () =>
      `${name} [${shape}] ${dtype} must fit one buffer of ${limit} bytes, got ${bytes}. ${dtype === 'f32' ? 'Use f16, or an' : 'Use an'} adapter with larger buffers.`,
  );
}

/** Standard deviations within which the device's normal numbers of 24 bits lie: sqrt(-2 ln 2^-24) = 5.77. */
const widestNormal = 5.8;

/** False where a normal law cuts off what the device may draw, as it does not draw again. */
const isDrawable = (law: InitLaw): boolean => law.kind !== 'normal' || law.limit >= widestNormal * law.std;

function drawn(
  law: InitLaw,
  shape: Shape,
  { dtype, source }: { readonly dtype: DType; readonly source: RandomSource },
): Tensor {
  if (law.kind === 'constant') return map('init', [], 'vec4<f32>(u.s0)', { shape, dtype, scalars: [law.value] });
  if (law.kind === 'normal') return map('init', [normal(shape, source)], 'a * u.s0', { dtype, scalars: [law.std] });
  return map('init', [uniform(shape, source)], '(2.0 * a - 1.0) * u.s0', { dtype, scalars: [law.bound] });
}

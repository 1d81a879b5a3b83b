import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

export interface OptimizerSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: 'f32' | 'f16';
  /** Gradients are multiplied by a factor that lies on the device. */
  readonly clip: boolean;
  /** Nothing changes where a flag on the device is 0. */
  readonly guarded: boolean;
  /** AdamW's weight decay, apart from the gradient; or SGD's Nesterov momentum. */
  readonly variant: boolean;
}

const controls = ({ clip, guarded }: OptimizerSpec): Record<string, Binding> => ({
  ...(clip && { factor: 'read f32' as Binding }),
  ...(guarded && { only_if: 'read u32' as Binding }),
});

const state = ({ type }: OptimizerSpec, names: readonly string[]): Record<string, Binding> => ({
  ...Object.fromEntries(['parameter', ...names].map((name) => [name, 'read_write vec4<f32>' as Binding])),
  gradient: `read vec4<${type}>` as Binding,
});

/** WGSL: one vector of the parameter as p, and its scaled gradient as g. */
const head = ({ clip, guarded }: OptimizerSpec): string => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.vectors${guarded ? ' || only_if[0] == 0u' : ''}) { return; }
  let p = parameter[i];
  var g = vec4<f32>(gradient[i])${clip ? ' * factor[0]' : ''};`;

const examples: OptimizerSpec[] = [
  { type: 'f32', clip: true, guarded: true, variant: true },
  { type: 'f16', clip: false, guarded: false, variant: false },
];

/**
 * m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= rate m / (sqrt(v) / correction + eps), with rate and correction undoing the bias of m and v.
 * Weight decay: p *= keep before the step (AdamW), or g += decay p (Adam).  One invocation 4 elements.
 */
export const adamKernel: Kernel<OptimizerSpec> = defineKernel<OptimizerSpec>({
  name: 'adam',
  bindings: (spec) => ({ ...state(spec, ['first', 'second']), ...controls(spec) }),
  uniforms: {
    vectors: 'u32',
    rate: 'f32',
    correction: 'f32',
    beta1: 'f32',
    beta2: 'f32',
    eps: 'f32',
    decay: 'f32',
    keep: 'f32',
  },
  code: (spec) => `${head(spec)}
  ${spec.variant ? '' : 'g += u.decay * p;'}
  let m = u.beta1 * first[i] + (1.0 - u.beta1) * g;
  let v = u.beta2 * second[i] + (1.0 - u.beta2) * g * g;
  first[i] = m;
  second[i] = v;
  parameter[i] = ${spec.variant ? 'p * u.keep' : 'p'} - u.rate * m / (sqrt(v) / u.correction + u.eps);
}`,
  examples,
});

/** g += decay p;  m = momentum m + g;  p -= rate m, or rate (g + momentum m) after Nesterov.  One invocation 4 elements. */
export const sgdKernel: Kernel<OptimizerSpec> = defineKernel<OptimizerSpec>({
  name: 'sgd',
  bindings: (spec) => ({ ...state(spec, ['velocity']), ...controls(spec) }),
  uniforms: { vectors: 'u32', rate: 'f32', momentum: 'f32', decay: 'f32' },
  code: (spec) => `${head(spec)}
  g += u.decay * p;
  let m = u.momentum * velocity[i] + g;
  velocity[i] = m;
  parameter[i] = p - u.rate * ${spec.variant ? '(g + u.momentum * m)' : 'm'};
}`,
  examples,
});

interface MeasureSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: 'f32' | 'f16';
  readonly measure: 'squares' | 'non-finite';
}

/** Vectors that one invocation of `measureKernel` folds. */
export const vectorsPerPart = 64;

/** Invocations, each with its own partial result, of a workgroup of `measureKernel`. */
export const partsPerGroup = 64;

/**
 * parts[first + p] = sum of squares, or number of infinities and NaNs, over every 64th vector of a stretch of x.
 * A tree over workgroups would need barriers; partial results are summed by the next kernel instead.  One invocation 64 vectors.
 */
export const measureKernel: Kernel<MeasureSpec> = defineKernel<MeasureSpec>({
  name: 'measure',
  bindings: ({ type }) => ({ x: `read vec4<${type}>` as Binding, parts: 'write f32' }),
  uniforms: { count: 'u32', first: 'u32' },
  code: ({ measure }) => `
@compute @workgroup_size(${partsPerGroup})
fn main(${flatParameters}) {
  let stretch = ${flatGroup};
  var total = vec4<f32>(0.0);
  for (var j = 0u; j < ${vectorsPerPart}u; j++) {
    let i = (stretch * ${vectorsPerPart}u + j) * ${partsPerGroup}u + local;
    if (i * 4u < u.count) {
      let live = vec4<u32>(i * 4u, i * 4u + 1u, i * 4u + 2u, i * 4u + 3u) < vec4<u32>(u.count);
      let value = vec4<f32>(x[i]);
      ${
        measure === 'squares'
          ? 'total += select(vec4<f32>(0.0), value * value, live);'
          : 'total += select(vec4<f32>(0.0), vec4<f32>(1.0), live & ((bitcast<vec4<u32>>(value) & vec4<u32>(0x7f800000u)) == vec4<u32>(0x7f800000u)));'
      }
    }
  }
  let part = stretch * ${partsPerGroup}u + local;
  if (part * 4u < u.count) { parts[u.first + part] = total.x + total.y + total.z + total.w; }
}`,
  examples: [
    { type: 'f32', measure: 'squares' },
    { type: 'f16', measure: 'non-finite' },
  ],
});

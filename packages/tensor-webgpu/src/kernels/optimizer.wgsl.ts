import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import { elementType, type FloatStorage, vectorOf } from './storage.ts';

export interface OptimizerSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
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
  gradient: `read ${elementType(type, 4)}` as Binding,
});

/** WGSL: one vector of the parameter as p, and its scaled gradient as g. */
const head = ({ type, clip, guarded }: OptimizerSpec): string => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.vectors${guarded ? ' || only_if[0] == 0u' : ''}) { return; }
  let p = parameter[i];
  var g = ${vectorOf(type, 'gradient[i]')}${clip ? ' * factor[0]' : ''};`;

const examples: OptimizerSpec[] = [
  { type: 'f32', clip: true, guarded: true, variant: true },
  { type: 'f16', clip: false, guarded: false, variant: false },
  { type: 'packed', clip: true, guarded: false, variant: true },
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

interface MultiSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  /** Tensors that one dispatch binds. */
  readonly count: number;
}

/** Vectors that an invocation of the kernels over several tensors walks. */
const vectorsPerInvocation = 32;
const multiGroup = 64;

/** Vectors that one of their workgroups walks, all of one tensor. */
export const vectorsPerBlock: number = vectorsPerInvocation * multiGroup;

/** Most tensors of a dispatch: their table has to fit the uniforms. */
export const mostTensors = 14;

const indices = (count: number): number[] => Array.from({ length: count }, (_, s) => s);

/** Uniforms of a table over tensors: `end` is the first block behind a tensor, the others are the kernel's own. */
const table = (names: readonly string[], count = mostTensors): Record<string, 'u32'> =>
  Object.fromEntries(indices(count).flatMap((s) => names.map((name) => [`${name}${s}`, 'u32' as const])));

/**
 * WGSL: runs the body of the tensor that the workgroup's block belongs to, for each vector `i` of the block that lies within it.
 * The choice is outside the loop: a software adapter walks through branches that it does not take, once instead of at each vector.
 */
const perTensor = (count: number, body: (s: number) => string): string =>
  indices(count)
    .map(
      (s) => `${s ? ' else ' : '  '}if (block < u.end${s}) {
    let start = (block - ${s ? `u.end${s - 1}` : '0u'}) * ${vectorsPerBlock}u + local;
    let last = min(start - local + ${vectorsPerBlock}u, (u.size${s} + 3u) / 4u);
    for (var i = start; i < last; i += ${multiGroup}u) { ${body(s)} }
  }`,
    )
    .join('');

const multiExamples: MultiSpec[] = [
  { type: 'f32', count: 6 },
  { type: 'f32', count: 1 },
];

/** WGSL: infinities and NaNs by their exponent, because a compiler may take it that there are none. */
const bad = (value: string): string =>
  `select(vec4<f32>(0.0), vec4<f32>(1.0), (bitcast<vec4<u32>>(${value}) & vec4<u32>(0x7f800000u)) == vec4<u32>(0x7f800000u))`;

/**
 * parts[first + block] = (sum of squares, number of infinities and NaNs) of a block of one of several tensors.
 * x0, x1, ...: any sizes.  One workgroup a block; lane 0 adds up the lanes in their order.
 */
export const measureKernel: Kernel<MultiSpec> = defineKernel<MultiSpec>({
  name: 'measure',
  bindings: ({ type, count }) => ({
    ...Object.fromEntries(indices(count).map((s) => [`x${s}`, `read ${elementType(type, 4)}` as Binding])),
    parts: 'write vec2<f32>',
  }),
  uniforms: { first: 'u32', blocks: 'u32', ...table(['end', 'size']) },
  code: ({ type, count }) => `
var<workgroup> lanes: array<vec2<f32>, ${multiGroup}>;
@compute @workgroup_size(${multiGroup})
fn main(${flatParameters}) {
  let block = ${flatGroup};
  var squares = vec4<f32>(0.0);
  var faults = vec4<f32>(0.0);
${perTensor(
  count,
  (s) =>
    `var v = ${vectorOf(type, `x${s}[i]`)}; v = select(vec4<f32>(0.0), v, vec4<u32>(i * 4u, i * 4u + 1u, i * 4u + 2u, i * 4u + 3u) < vec4<u32>(u.size${s})); squares += v * v; faults += ${bad('v')};`,
)}
  lanes[local] = vec2<f32>(squares.x + squares.y + squares.z + squares.w, faults.x + faults.y + faults.z + faults.w);
  workgroupBarrier();
  if (local == 0u && block < u.blocks) {
    var total = vec2<f32>(0.0);
    for (var lane = 0u; lane < ${multiGroup}u; lane++) { total += lanes[lane]; }
    parts[u.first + block] = total;
  }
}`,
  examples: [...multiExamples, { type: 'f16', count: mostTensors }, { type: 'packed', count: 2 }],
});

const summaryGroup = 256;

/** WGSL: the sum of all parts as `total` of lane 0, which alone goes on. */
const totalOfParts = `
var<workgroup> lanes: array<vec2<f32>, ${summaryGroup}>;
@compute @workgroup_size(${summaryGroup})
fn main(@builtin(local_invocation_index) local: u32) {
  var part = vec2<f32>(0.0);
  for (var i = local; i < u.count; i += ${summaryGroup}u) { part += parts[i]; }
  lanes[local] = part;
  workgroupBarrier();
  if (local > 0u) { return; }
  var total = vec2<f32>(0.0);
  for (var lane = 0u; lane < ${summaryGroup}u; lane++) { total += lanes[lane]; }`;

/** norm = sqrt(sum of squares), finite = no fault, from the parts of `measureKernel`.  parts: [P, 2].  One workgroup. */
export const normKernel: Kernel = defineKernel({
  name: 'gradient-norm',
  bindings: { parts: 'read vec2<f32>', norm: 'write f32', finite: 'write u32' },
  uniforms: { count: 'u32' },
  code: () => `${totalOfParts}
  norm[0] = sqrt(total.x);
  finite[0] = select(0u, 1u, total.y == 0.0);
}`,
  examples: [{}],
});

interface ControlSpec extends Readonly<Record<string, number | string | boolean>> {
  /** Gradients are those of a loss times a scale that is kept on the device. */
  readonly scaled: boolean;
}

/**
 * norm = |g| / S;  control = (rate, correction, 1 - rate decay, min(1, clip / (norm + 1e-6)) / S, 1 if all g and their norm are finite, 1 - average decay).
 * Loss scale: S doubles after `growth` finite steps in a row, up to `most`, and halves when a gradient was not finite, down to 1.
 * settings: (rate / (1 - b1^t), sqrt(1 - b2^t), rate decay, clip, 1 - average decay), scale: (S, finite steps in a row).  One workgroup.
 */
export const stepControlKernel: Kernel<ControlSpec> = defineKernel<ControlSpec>({
  name: 'step-control',
  bindings: ({ scaled }) => ({
    parts: 'read vec2<f32>',
    settings: 'read f32',
    ...(scaled && { scale: 'read_write f32' as Binding }),
    norm: 'write f32',
    control: 'write f32',
  }),
  uniforms: { count: 'u32', growth: 'f32', most: 'f32' },
  code: ({ scaled }) => `${totalOfParts}
  // Squares of finite gradients may overflow: a clip factor of 0 would still decay weights and moments.
  let finite = total.y == 0.0 && (bitcast<u32>(total.x) & 0x7f800000u) != 0x7f800000u;
  let used = ${scaled ? 'scale[0]' : '1.0'};
  let length = sqrt(total.x) / used;
  norm[0] = length;
  control[0] = settings[0];
  control[1] = settings[1];
  control[2] = 1.0 - settings[2];
  control[3] = min(1.0, settings[3] / (length + 1e-6)) / used;
  control[4] = select(0.0, 1.0, finite);
  control[5] = settings[4];
  ${
    scaled
      ? `let good = scale[1] + 1.0;
  let grown = good >= u.growth;
  scale[0] = select(max(used * 0.5, 1.0), select(used, min(used * 2.0, u.most), grown), finite);
  scale[1] = select(0.0, select(good, 0.0, grown), finite);`
      : ''
  }
}`,
  examples: [{ scaled: true }, { scaled: false }],
});

/** Numbers of a step that `stepControlKernel` writes. */
export const controlSize = 6;

/** Tensors of a dispatch of `multiAdamKernel` under a limit of storage bindings: a parameter and a gradient each, beside moments, averages and control. */
export const adamTensors = (bindings: number, averaged: boolean): number =>
  Math.min(8, Math.floor((bindings - (averaged ? 4 : 3)) / 2));

interface MultiAdamSpec extends MultiSpec {
  /** Keeps an exponential moving average of the parameters. */
  readonly averaged: boolean;
}

/**
 * AdamW over several tensors at once: m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p = keep p - rate m / (sqrt(v) / correction + eps), g scaled by the control's factor.
 * average += (1 - average decay) (p - average), where averages are kept.
 * first, second, average: those of all of them one behind the other, each from vector `at`; control as `stepControlKernel` writes it.  One workgroup a block of one tensor.
 */
export const multiAdamKernel: Kernel<MultiAdamSpec> = defineKernel<MultiAdamSpec>({
  name: 'multi-adam',
  bindings: ({ type, count, averaged }) => ({
    ...Object.fromEntries(indices(count).map((s) => [`p${s}`, 'read_write vec4<f32>' as Binding])),
    ...Object.fromEntries(indices(count).map((s) => [`g${s}`, `read ${elementType(type, 4)}` as Binding])),
    first: 'read_write vec4<f32>',
    second: 'read_write vec4<f32>',
    ...(averaged && { average: 'read_write vec4<f32>' as Binding }),
    control: 'read f32',
  }),
  uniforms: { beta1: 'f32', beta2: 'f32', eps: 'f32', ...table(['end', 'size', 'at', 'decayed'], 8) },
  code: ({ type, count, averaged }) => `
@compute @workgroup_size(${multiGroup})
fn main(${flatParameters}) {
  let block = ${flatGroup};
  if (control[4] == 0.0) { return; }
  let rate = control[0]; let correction = control[1]; let factor = control[3];
${perTensor(
  count,
  (s) => `
      let g = ${vectorOf(type, `g${s}[i]`)} * factor;
      let m = u.beta1 * first[u.at${s} + i] + (1.0 - u.beta1) * g;
      let v = u.beta2 * second[u.at${s} + i] + (1.0 - u.beta2) * g * g;
      first[u.at${s} + i] = m;
      second[u.at${s} + i] = v;
      p${s}[i] = p${s}[i] * select(1.0, control[2], u.decayed${s} != 0u) - rate * m / (sqrt(v) / correction + u.eps);
      ${averaged ? `average[u.at${s} + i] += control[5] * (p${s}[i] - average[u.at${s} + i]);` : ''}
    `,
)}
}`,
  examples: [...multiExamples.map((spec) => ({ ...spec, averaged: false })), { type: 'f32', count: 5, averaged: true }],
});

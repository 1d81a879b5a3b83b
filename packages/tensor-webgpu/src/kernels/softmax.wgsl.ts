import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import {
  flatGroup,
  flatParameters,
  foldLanes,
  laneMemory,
  laneParameters,
  type RowLanes,
  sumLanes,
} from './snippets.ts';
import { elementAt, elementType, type FloatStorage, type SingleStorage, storedVector, vectorOf } from './storage.ts';

interface SoftmaxSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  readonly result: SingleStorage;
  /** Logarithms instead of probabilities. */
  readonly log: boolean;
  /** Invocations that share a row. */
  readonly lanes: number;
}

/** WGSL: folds `value` over the invocations of a row through workgroup memory, in a fixed order. */
function foldRow(lanes: number, value: string, op: (a: string, b: string) => string): string {
  const steps: string[] = [];
  for (let width = lanes / 2; width >= 1; width /= 2) {
    steps.push(
      `workgroupBarrier(); if (lane < ${width}u) { shared_part[local] = ${op('shared_part[local]', `shared_part[local + ${width}u]`)}; }`,
    );
  }
  return lanes === 1
    ? ''
    : `workgroupBarrier(); shared_part[local] = ${value}; ${steps.join(' ')} workgroupBarrier(); ${value} = shared_part[local - lane];`;
}

/** WGSL: 64 invocations share rows; each row has `lanes` of them. */
const rowHead = (lanes: number): string => `
${lanes > 1 ? 'var<workgroup> shared_part: array<f32, 64>;' : ''}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let row = (${flatGroup}) * ${64 / lanes}u + local / ${lanes}u;
  let lane = local % ${lanes}u;
  let live = row < u.rows;
  let base = select(0u, row * u.width, live);
  let width = select(0u, u.width, live);`;

/** y = softmax(x), or its logarithm, over rows.  x, y: [R, C].  `lanes` invocations a row. */
export const softmaxKernel: Kernel<SoftmaxSpec> = defineKernel<SoftmaxSpec>({
  name: 'softmax',
  bindings: ({ type, result }) => ({ x: `read ${elementType(type, 1)}` as Binding, y: `write ${result}` as Binding }),
  uniforms: { rows: 'u32', width: 'u32' },
  code: ({ type, result, log, lanes }) => `${rowHead(lanes)}
  var top = -3.0e38;
  for (var k = lane; k < width; k += ${lanes}u) { top = max(top, ${elementAt(type, 'x', 'base + k')}); }
  ${foldRow(lanes, 'top', (a, b) => `max(${a}, ${b})`)}
  var sum = 0.0;
  for (var k = lane; k < width; k += ${lanes}u) { sum += exp(${elementAt(type, 'x', 'base + k')} - top); }
  ${foldRow(lanes, 'sum', (a, b) => `${a} + ${b}`)}
  let shift = top + log(sum);
  for (var k = lane; k < width; k += ${lanes}u) { let v = ${elementAt(type, 'x', 'base + k')}; y[base + k] = ${result}(${log ? 'v - shift' : 'exp(v - top) / sum'}); }
}`,
  examples: [
    { type: 'f32', result: 'f32', log: false, lanes: 1 },
    { type: 'f16', result: 'f16', log: true, lanes: 64 },
    { type: 'packed', result: 'f32', log: true, lanes: 8 },
  ],
});

type EntropySpec = Pick<SoftmaxSpec, 'type' | 'lanes'> & Readonly<Record<string, number | string | boolean>>;

/** y = -sum p log p with p = softmax(x) = log(sum e^d) - sum d e^d / sum e^d, d = x - max(x); -infinity counts nothing.  x: [R, C], y: [R].  `lanes` invocations a row. */
export const entropyKernel: Kernel<EntropySpec> = defineKernel<EntropySpec>({
  name: 'entropy',
  bindings: ({ type }) => ({ x: `read ${elementType(type, 1)}` as Binding, y: 'write f32' }),
  uniforms: { rows: 'u32', width: 'u32' },
  code: ({ type, lanes }) => `${rowHead(lanes)}
  var top = -3.0e38;
  for (var k = lane; k < width; k += ${lanes}u) { top = max(top, ${elementAt(type, 'x', 'base + k')}); }
  ${foldRow(lanes, 'top', (a, b) => `max(${a}, ${b})`)}
  var sum = 0.0; var moment = 0.0;
  for (var k = lane; k < width; k += ${lanes}u) {
    let d = max(${elementAt(type, 'x', 'base + k')} - top, -100.0);
    sum += exp(d); moment += d * exp(d);
  }
  ${foldRow(lanes, 'sum', (a, b) => `${a} + ${b}`)}
  ${foldRow(lanes, 'moment', (a, b) => `${a} + ${b}`)}
  if (live && lane == 0u) { y[row] = log(sum) - moment / sum; }
}`,
  examples: [
    { type: 'f32', lanes: 64 },
    { type: 'f16', lanes: 1 },
  ],
});

interface CrossEntropySpec extends RowLanes, Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  /** Rows are whole vectors; packed ones are where they are overwritten. */
  readonly vector: boolean;
  /** Logits are overwritten by the gradient of the mean loss. */
  readonly inPlace: boolean;
}

type Stepwise = Pick<CrossEntropySpec, 'vector' | 'type'>;

/** WGSL: the element or the four neighbours at a place of x. */
const load = ({ vector, type }: Stepwise, at: string): string =>
  vector ? vectorOf(type, `x[${at}]`) : elementAt(type, 'x', at);

/** WGSL: the same as x holds them. */
const stored = ({ vector, type }: Stepwise, value: string): string =>
  vector ? storedVector(type, value) : `${type}(${value})`;

/** WGSL: what the kernel does to one element or to four neighbours alike. */
const valueSnippet = ({ vector }: Stepwise): string =>
  vector
    ? `alias value = vec4<f32>; alias places = vec4<u32>;
fn top_of(v: value) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
fn sum_of(v: value) -> f32 { return v.x + v.y + v.z + v.w; }
fn places_of(k: u32) -> places { return vec4<u32>(4u * k) + vec4<u32>(0u, 1u, 2u, 3u); }`
    : `alias value = f32; alias places = u32;
fn top_of(v: value) -> f32 { return v; }
fn sum_of(v: value) -> f32 { return v; }
fn places_of(k: u32) -> places { return k; }`;

/**
 * loss = (1 - s) (lse - x[target]) + s (lse - mean(x)) per row; hit = 1 where no class beats the target; 0 both for ignored rows.
 * In place: x = slope (softmax(x) - (1 - s) onehot(target) - s / V).  x: [R, V], targets, loss, lse, hits: [R].
 * Lanes share a row; one read finds the maximum and the sum of exponentials, rescaled whenever the maximum rises.
 */
export const crossEntropyKernel: Kernel<CrossEntropySpec> = defineKernel<CrossEntropySpec>({
  name: 'cross-entropy',
  bindings: ({ type, vector, inPlace }) => ({
    x: `${inPlace ? 'read_write' : 'read'} ${elementType(type, vector ? 4 : 1)}` as Binding,
    targets: 'read u32',
    loss: 'write f32',
    lse: 'write f32',
    hits: 'write f32',
  }),
  uniforms: { rows: 'u32', width: 'u32', steps: 'u32', smoothing: 'f32', ignored: 'i32', slope: 'f32' },
  enables: ({ shuffles }) => (shuffles ? ['subgroups'] : []),
  code: (spec) => `${valueSnippet(spec)}
${laneMemory(spec)}
@compute @workgroup_size(${spec.group})
fn main(${laneParameters(spec)}) {
  let own = local % ${spec.lanes}u;
  let asked = (${flatGroup}) * ${spec.group / spec.lanes}u + local / ${spec.lanes}u;
  let live = asked < u.rows;
  let row = min(asked, u.rows - 1u);
  let first = row * u.steps;
  let goal = min(targets[row], u.width - 1u);
  let goal_value = ${load(spec, `first + goal / ${spec.vector ? 4 : 1}u`)};
  let hit = ${spec.vector ? 'goal_value[goal % 4u]' : 'goal_value'};
  var top = -3.0e38; var sum = 0.0; var total = 0.0; var betters = 0.0;
  for (var k = own; k < u.steps; k += ${spec.lanes}u) {
    let v = ${load(spec, 'first + k')}; let at = places_of(k);
    let higher = max(top, top_of(v));
    sum = sum * exp(top - higher) + sum_of(exp(v - higher));
    top = higher;
    total += sum_of(v);
    betters += sum_of(select(value(0.0), value(1.0), (v > value(hit)) | ((v == value(hit)) & (at < places(goal)))));
  }
  let mine = top;
  ${foldLanes(spec, 'top', (a, b) => `max(${a}, ${b})`)}
  sum *= exp(mine - top);
  ${sumLanes(spec, 'sum')}
  ${sumLanes(spec, 'total')}
  ${sumLanes(spec, 'betters')}
  let shift = top + log(sum);
  let counts = i32(targets[row]) != u.ignored;
  if (live && own == 0u) {
    let cost = (1.0 - u.smoothing) * (shift - hit) + u.smoothing * (shift - total / f32(u.width));
    loss[row] = select(0.0, cost, counts);
    lse[row] = shift;
    hits[row] = select(0.0, 1.0, counts && betters == 0.0);
  }
  ${
    spec.inPlace
      ? `let slope = select(0.0, u.slope, counts);
  let even = u.smoothing / f32(u.width);
  if (live) {
    for (var k = own; k < u.steps; k += ${spec.lanes}u) {
      let here = select(value(0.0), value(1.0 - u.smoothing), places_of(k) == places(goal));
      x[first + k] = ${stored(spec, `slope * (exp(${load(spec, 'first + k')} - shift) - here - even)`)};
    }
  }`
      : ''
  }
}`,
  examples: [
    { type: 'f32', vector: true, inPlace: true, group: 8, lanes: 8, shuffles: true },
    { type: 'f16', vector: true, inPlace: false, group: 32, lanes: 32, shuffles: true },
    { type: 'packed', vector: true, inPlace: true, group: 8, lanes: 8, shuffles: true },
    { type: 'f32', vector: false, inPlace: true, group: 64, lanes: 64, shuffles: false },
  ],
});

/** Gradient of costs that had an upstream gradient each. */
interface CrossEntropyGradientSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  /** Packed only where rows are whole vectors. */
  readonly result: FloatStorage;
  readonly vector: boolean;
}

/** dx = dloss (softmax(x) - (1 - s) onehot(target) - s / V), 0 for ignored rows.  dx: [R, V].  One invocation 4 vectors, or elements where rows are not whole vectors. */
export const crossEntropyGradientKernel: Kernel<CrossEntropyGradientSpec> = defineKernel<CrossEntropyGradientSpec>({
  name: 'cross-entropy-gradient',
  bindings: ({ type, result, vector }) => ({
    x: `read ${elementType(type, vector ? 4 : 1)}` as Binding,
    targets: 'read u32',
    lse: 'read f32',
    dloss: 'read f32',
    dx: `write ${elementType(result, vector ? 4 : 1)}` as Binding,
  }),
  uniforms: { rows: 'u32', width: 'u32', steps: 'u32', smoothing: 'f32', ignored: 'i32' },
  code: (spec) => `${valueSnippet(spec)}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  let even = u.smoothing / f32(u.width);
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.rows * u.steps) {
      let row = i / u.steps;
      let counts = i32(targets[row]) != u.ignored;
      let here = select(value(0.0), value(1.0 - u.smoothing), places_of(i % u.steps) == places(targets[row]));
      dx[i] = ${stored({ ...spec, type: spec.result }, `select(0.0, dloss[row], counts) * (exp(${load(spec, 'i')} - lse[row]) - here - even)`)};
    }
  }
}`,
  examples: [
    { type: 'f32', result: 'f32', vector: true },
    { type: 'f16', result: 'f16', vector: false },
    { type: 'packed', result: 'packed', vector: true },
    { type: 'packed', result: 'f32', vector: false },
  ],
});

import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

interface SoftmaxSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: 'f32' | 'f16';
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
  bindings: ({ type }) => ({ x: `read ${type}` as Binding, y: `write ${type}` as Binding }),
  uniforms: { rows: 'u32', width: 'u32' },
  code: ({ type, log, lanes }) => `${rowHead(lanes)}
  var top = -3.0e38;
  for (var k = lane; k < width; k += ${lanes}u) { top = max(top, f32(x[base + k])); }
  ${foldRow(lanes, 'top', (a, b) => `max(${a}, ${b})`)}
  var sum = 0.0;
  for (var k = lane; k < width; k += ${lanes}u) { sum += exp(f32(x[base + k]) - top); }
  ${foldRow(lanes, 'sum', (a, b) => `${a} + ${b}`)}
  let shift = top + log(sum);
  for (var k = lane; k < width; k += ${lanes}u) { y[base + k] = ${type}(${log ? 'f32(x[base + k]) - shift' : 'exp(f32(x[base + k]) - top) / sum'}); }
}`,
  examples: [
    { type: 'f32', log: false, lanes: 1 },
    { type: 'f16', log: true, lanes: 64 },
  ],
});

interface CrossEntropySpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: 'f32' | 'f16';
  readonly lanes: number;
}

/**
 * loss = (1 - s) (lse - x[target]) + s (lse - mean(x)) per row; 0 for ignored rows.  x: [R, V], targets: [R], loss, lse: [R].
 * `lanes` invocations a row.
 */
export const crossEntropyKernel: Kernel<CrossEntropySpec> = defineKernel<CrossEntropySpec>({
  name: 'cross-entropy',
  bindings: ({ type }) => ({ x: `read ${type}` as Binding, targets: 'read u32', loss: 'write f32', lse: 'write f32' }),
  uniforms: { rows: 'u32', width: 'u32', smoothing: 'f32', ignored: 'i32' },
  code: ({ lanes }) => `${rowHead(lanes)}
  var top = -3.0e38;
  var total = 0.0;
  for (var k = lane; k < width; k += ${lanes}u) { let v = f32(x[base + k]); top = max(top, v); total += v; }
  ${foldRow(lanes, 'top', (a, b) => `max(${a}, ${b})`)}
  var sum = 0.0;
  for (var k = lane; k < width; k += ${lanes}u) { sum += exp(f32(x[base + k]) - top); }
  ${foldRow(lanes, 'sum', (a, b) => `${a} + ${b}`)}
  ${foldRow(lanes, 'total', (a, b) => `${a} + ${b}`)}
  if (live && lane == 0u) {
    let target_index = targets[row];
    let shift = top + log(sum);
    let hit = f32(x[base + min(target_index, u.width - 1u)]);
    let value = (1.0 - u.smoothing) * (shift - hit) + u.smoothing * (shift - total / f32(u.width));
    loss[row] = select(value, 0.0, i32(target_index) == u.ignored);
    lse[row] = shift;
  }
}`,
  examples: [
    { type: 'f32', lanes: 1 },
    { type: 'f16', lanes: 16 },
  ],
});

/** dx = dloss (softmax(x) - (1 - s) onehot(target) - s / V), 0 for ignored rows.  dx: [R, V].  One invocation 4 elements. */
export const crossEntropyGradientKernel: Kernel<CrossEntropySpec> = defineKernel<CrossEntropySpec>({
  name: 'cross-entropy-gradient',
  bindings: ({ type }) => ({
    x: `read ${type}` as Binding,
    targets: 'read u32',
    lse: 'read f32',
    dloss: 'read f32',
    dx: `write ${type}` as Binding,
  }),
  uniforms: { rows: 'u32', width: 'u32', smoothing: 'f32', ignored: 'i32' },
  code: ({ type }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.rows * u.width) {
      let row = i / u.width;
      let hit = select(0.0, 1.0 - u.smoothing, targets[row] == i % u.width);
      let slope = dloss[row] * (exp(f32(x[i]) - lse[row]) - hit - u.smoothing / f32(u.width));
      dx[i] = ${type}(select(slope, 0.0, i32(targets[row]) == u.ignored));
    }
  }
}`,
  examples: [
    { type: 'f32', lanes: 1 },
    { type: 'f16', lanes: 1 },
  ],
});

import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import { elementAt, elementType, type SingleStorage, type Storage } from './storage.ts';

export type Reduction = 'sum' | 'max' | 'min' | 'argmax' | 'argmin';

interface ReduceSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly reduction: Reduction;
  readonly type: Storage;
  readonly result: SingleStorage;
  /** Invocations that share one row; 1 where columns are reduced. */
  readonly lanes: number;
}

const start: Record<Reduction, string> = {
  sum: '0.0',
  max: '-3.4028234e38',
  min: '3.4028234e38',
  argmax: '-3.4028234e38',
  argmin: '3.4028234e38',
};

/** Statement that folds value v at position k into (best, at). */
function fold(reduction: Reduction, v: string, k: string): string {
  if (reduction === 'sum') return `best += ${v};`;
  const better = reduction.endsWith('max') ? '>' : '<';
  return `if (${v} ${better} best || (${v} == best && ${k} < at)) { best = ${v}; at = ${k}; }`;
}

/**
 * y[o, i] = reduction over k of x[o, k, i].  x: [outer, length, inner], y: [outer, inner].
 * A workgroup of 64 invocations reduces 64/lanes outputs; lanes > 1 (inner = 1) folds partial results in a fixed order.
 */
export const reduceKernel: Kernel<ReduceSpec> = defineKernel<ReduceSpec>({
  name: 'reduce',
  bindings: ({ type, result }) => ({ x: `read ${elementType(type, 1)}` as Binding, y: `write ${result}` as Binding }),
  uniforms: { outputs: 'u32', length: 'u32', inner: 'u32', scale: 'f32' },
  code: ({ reduction, type, result, lanes }) => {
    const value = reduction.startsWith('arg') ? `${result}(at)` : `${result}(best * u.scale)`;
    const tree: string[] = [];
    for (let width = lanes / 2; width >= 1; width /= 2) {
      tree.push(`workgroupBarrier();
  if (lane < ${width}u) {
    let v = part_best[local + ${width}u]; let k = part_at[local + ${width}u];
    ${fold(reduction, 'v', 'k')}
    part_best[local] = best; part_at[local] = at;
  }`);
    }
    return `
${lanes > 1 ? 'var<workgroup> part_best: array<f32, 64>; var<workgroup> part_at: array<u32, 64>;' : ''}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let output = (${flatGroup}) * ${64 / lanes}u + local / ${lanes}u;
  let lane = local % ${lanes}u;
  let base = (output / u.inner) * u.length * u.inner + output % u.inner;
  var best = f32(${start[reduction]});
  var at = 0xffffffffu;
  if (output < u.outputs) {
    for (var k = lane; k < u.length; k += ${lanes}u) {
      let v = f32(${elementAt(type, 'x', 'base + k * u.inner')});
      ${fold(reduction, 'v', 'k')}
    }
  }
  ${lanes > 1 ? `part_best[local] = best; part_at[local] = at;\n  ${tree.join('\n  ')}` : ''}
  if (output < u.outputs && lane == 0u) { y[output] = ${value}; }
}`;
  },
  examples: [
    { reduction: 'sum', type: 'f32', result: 'f32', lanes: 1 },
    { reduction: 'sum', type: 'f16', result: 'f16', lanes: 16 },
    { reduction: 'max', type: 'f32', result: 'f32', lanes: 64 },
    { reduction: 'sum', type: 'packed', result: 'f32', lanes: 1 },
    { reduction: 'argmin', type: 'f32', result: 'u32', lanes: 16 },
  ],
});

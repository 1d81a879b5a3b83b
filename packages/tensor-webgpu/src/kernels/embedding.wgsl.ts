import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

interface RowsSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: string;
}

interface ScatterSpec extends RowsSpec {
  /** Elements of a row that one invocation sums: 4 where rows are whole vectors, else 1. */
  readonly columns: 1 | 4;
}

/** y[r, :] = table[indices[r], :].  table: [V, C], indices: [R], y: [R, C]; indices beyond V read the last row.  One invocation 4 elements. */
export const gatherRowsKernel: Kernel<RowsSpec> = defineKernel<RowsSpec>({
  name: 'gather-rows',
  bindings: ({ type }) => ({ table: `read ${type}` as Binding, indices: 'read u32', y: `write ${type}` as Binding }),
  uniforms: { count: 'u32', width: 'u32', rows: 'u32' },
  code: () => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.count) { y[i] = table[min(indices[i / u.width], u.rows - 1u) * u.width + i % u.width]; }
  }
}`,
  examples: [{ type: 'f32' }, { type: 'u32' }, { type: 'f16' }],
});

/**
 * y[v, :] = sum of x[r, :] over rows r with indices[r] = v, in the order of r.  x: [R, C], indices: [R], y: [V, C].
 * One invocation 1 or 4 elements of y: it walks all indices, four a load, so that no float atomics are needed and the order is fixed.
 */
export const scatterAddKernel: Kernel<ScatterSpec> = defineKernel<ScatterSpec>({
  name: 'scatter-add',
  bindings: ({ type, columns }) => ({
    x: `read ${columns === 4 ? `vec4<${type}>` : type}` as Binding,
    indices: 'read vec4<u32>',
    y: `write ${columns === 4 ? `vec4<${type}>` : type}` as Binding,
  }),
  uniforms: { count: 'u32', width: 'u32', rows: 'u32' },
  code: ({ type, columns }) => {
    const wide = columns === 4 ? 'vec4<f32>' : 'f32';
    const add = (j: number): string =>
      `if (hits[${j}] && r + ${j}u < u.rows) { total += ${wide}(x[(r + ${j}u) * u.width + column]); }`;
    return `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let own = vec4<u32>(i / u.width);
  let column = i % u.width;
  var total = ${wide}(0.0);
  for (var r = 0u; r < u.rows; r += 4u) {
    let hits = indices[r / 4u] == own;
    if (any(hits)) { ${[0, 1, 2, 3].map(add).join(' ')} }
  }
  y[i] = ${columns === 4 ? `vec4<${type}>` : type}(total);
}`;
  },
  examples: [
    { type: 'f32', columns: 4 },
    { type: 'f16', columns: 1 },
  ],
});

/** y[r, k] = x[r, indices[r, k]].  x: [R, C], indices, y: [R, K]; indices beyond C read the last element.  One invocation an element. */
export const gatherKernel: Kernel<RowsSpec> = defineKernel<RowsSpec>({
  name: 'gather',
  bindings: ({ type }) => ({ x: `read ${type}` as Binding, indices: 'read u32', y: `write ${type}` as Binding }),
  uniforms: { count: 'u32', width: 'u32', picks: 'u32' },
  code: () => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i < u.count) { y[i] = x[(i / u.picks) * u.width + min(indices[i], u.width - 1u)]; }
}`,
  examples: [{ type: 'f32' }, { type: 'u32' }],
});

/** dx[r, c] = sum of dy[r, k] over k with indices[r, k] = c, in the order of k.  dy, indices: [R, K], dx: [R, C].  One invocation an element. */
export const gatherGradientKernel: Kernel<RowsSpec> = defineKernel<RowsSpec>({
  name: 'gather-gradient',
  bindings: ({ type }) => ({ dy: `read ${type}` as Binding, indices: 'read u32', dx: `write ${type}` as Binding }),
  uniforms: { count: 'u32', width: 'u32', picks: 'u32' },
  code: ({ type }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let first = (i / u.width) * u.picks;
  var total = 0.0;
  for (var k = 0u; k < u.picks; k++) {
    if (min(indices[first + k], u.width - 1u) == i % u.width) { total += f32(dy[first + k]); }
  }
  dx[i] = ${type}(total);
}`,
  examples: [{ type: 'f32' }, { type: 'f16' }],
});

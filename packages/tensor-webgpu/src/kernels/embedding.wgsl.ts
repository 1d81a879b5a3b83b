import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

interface GatherSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: string;
}

/** y[r, :] = table[indices[r], :].  table: [V, C], indices: [R], y: [R, C]; indices beyond V read the last row.  One invocation 4 elements. */
export const gatherRowsKernel: Kernel<GatherSpec> = defineKernel<GatherSpec>({
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
 * y[v, :] = sum of x[r, :] over rows r with indices[r] = v, in the order of r.  x: [R, C], y: [V, C].
 * One invocation an element of y: it walks all indices, so that no float atomics are needed and the order is fixed.
 */
export const scatterAddKernel: Kernel<GatherSpec> = defineKernel<GatherSpec>({
  name: 'scatter-add',
  bindings: ({ type }) => ({ x: `read ${type}` as Binding, indices: 'read u32', y: `write ${type}` as Binding }),
  uniforms: { count: 'u32', width: 'u32', rows: 'u32' },
  code: ({ type }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let own = i / u.width;
  var total = 0.0;
  for (var r = 0u; r < u.rows; r++) {
    if (indices[r] == own) { total += f32(x[r * u.width + i % u.width]); }
  }
  y[i] = ${type}(total);
}`,
  examples: [{ type: 'f32' }, { type: 'f16' }],
});

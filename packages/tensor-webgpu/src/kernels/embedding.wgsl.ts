import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import {
  computedType,
  elementAt,
  elementType,
  type Storage,
  storedVector,
  storeOwn,
  valuesOf,
  vectorOf,
} from './storage.ts';

interface RowsSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: Storage;
}

interface ScatterSpec extends RowsSpec {
  /** Elements of a row that one invocation sums: 4 where rows are whole vectors, else 1. */
  readonly columns: 1 | 4;
}

/**
 * y[r, :] = table[indices[r], :].  table: [V, C], indices: [R], y: [R, C]; indices beyond V read the last row.  One invocation owns 4 elements, or words.
 * The table may be the `held` rows from `first` on: others give zeros.
 */
export const gatherRowsKernel: Kernel<RowsSpec> = defineKernel<RowsSpec>({
  name: 'gather-rows',
  bindings: ({ type }) => ({
    table: `read ${elementType(type, 1)}` as Binding,
    indices: 'read u32',
    y: `write ${elementType(type, 1)}` as Binding,
  }),
  uniforms: { count: 'u32', width: 'u32', rows: 'u32', first: 'u32', held: 'u32' },
  code: ({ type }) => `
fn element(i: u32) -> ${computedType(type)} {
  let row = min(indices[i / u.width], u.rows - 1u) - u.first;
  let at = min(row, u.held - 1u) * u.width + i % u.width;
  return select(${computedType(type)}(0), ${elementAt(type, 'table', 'at')}, row < u.held);
}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let own = first + j * 64u;
    ${storeOwn(type, 'y', { own: 'own', count: 'u.count', value: (i) => `element(${i})` })}
  }
}`,
  examples: [{ type: 'f32' }, { type: 'u32' }, { type: 'f16' }, { type: 'packed' }],
});

/**
 * y[v, :] = sum of x[r, :] over rows r with indices[r] = v, in the order of r.  x: [R, C], indices: [R], y: [V, C].
 * One invocation 1 or 4 elements of y, or a word: it walks all indices, four a load, so that no float atomics are needed and the order is fixed.
 */
export const scatterAddKernel: Kernel<ScatterSpec> = defineKernel<ScatterSpec>({
  name: 'scatter-add',
  bindings: ({ type, columns }) => ({
    x: `read ${elementType(type, columns)}` as Binding,
    indices: 'read vec4<u32>',
    y: `write ${elementType(type, columns)}` as Binding,
  }),
  uniforms: { count: 'u32', width: 'u32', rows: 'u32' },
  code: ({ type, columns }) => {
    const wide = valuesOf(columns, computedType(type));
    const load = (at: string): string => (columns === 4 ? vectorOf(type, `x[${at}]`) : elementAt(type, 'x', at));
    const add = (j: number): string =>
      `if (hits[${j}] && r + ${j}u < u.rows) { total += ${load(`(r + ${j}u) * u.width + column`)}; }`;
    const store =
      columns === 4
        ? `if (i < u.count) { y[i] = ${storedVector(type, 'sum_of(i)')}; }`
        : storeOwn(type, 'y', { own: 'i', count: 'u.count', value: (i) => `sum_of(${i})` });
    return `
fn sum_of(i: u32) -> ${wide} {
  let own = vec4<u32>(i / u.width);
  let column = i % u.width;
  var total = ${wide}(0);
  for (var r = 0u; r < u.rows; r += 4u) {
    let hits = indices[r / 4u] == own;
    if (any(hits)) { ${[0, 1, 2, 3].map(add).join(' ')} }
  }
  return total;
}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  ${store}
}`;
  },
  examples: [
    { type: 'f32', columns: 4 },
    { type: 'f16', columns: 1 },
    { type: 'packed', columns: 1 },
    { type: 'packed', columns: 4 },
  ],
});

/** y[r, k] = x[r, indices[r, k]].  x: [R, C], indices, y: [R, K]; indices beyond C read the last element.  One invocation an element, or a word. */
export const gatherKernel: Kernel<RowsSpec> = defineKernel<RowsSpec>({
  name: 'gather',
  bindings: ({ type }) => ({
    x: `read ${elementType(type, 1)}` as Binding,
    indices: 'read u32',
    y: `write ${elementType(type, 1)}` as Binding,
  }),
  uniforms: { count: 'u32', width: 'u32', picks: 'u32' },
  code: ({ type }) => `
fn element(i: u32) -> ${computedType(type)} {
  let at = (i / u.picks) * u.width + min(indices[i], u.width - 1u);
  return ${elementAt(type, 'x', 'at')};
}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let own = (${flatGroup}) * 64u + local;
  ${storeOwn(type, 'y', { own: 'own', count: 'u.count', value: (i) => `element(${i})` })}
}`,
  examples: [{ type: 'f32' }, { type: 'u32' }, { type: 'packed' }],
});

/** dx[r, c] = sum of dy[r, k] over k with indices[r, k] = c, in the order of k.  dy, indices: [R, K], dx: [R, C].  One invocation an element, or a word. */
export const gatherGradientKernel: Kernel<RowsSpec> = defineKernel<RowsSpec>({
  name: 'gather-gradient',
  bindings: ({ type }) => ({
    dy: `read ${elementType(type, 1)}` as Binding,
    indices: 'read u32',
    dx: `write ${elementType(type, 1)}` as Binding,
  }),
  uniforms: { count: 'u32', width: 'u32', picks: 'u32' },
  code: ({ type }) => `
fn sum_of(i: u32) -> f32 {
  let first = (i / u.width) * u.picks;
  var total = 0.0;
  for (var k = 0u; k < u.picks; k++) {
    if (min(indices[first + k], u.width - 1u) == i % u.width) { total += ${elementAt(type, 'dy', 'first + k')}; }
  }
  return total;
}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let own = (${flatGroup}) * 64u + local;
  ${storeOwn(type, 'dx', { own: 'own', count: 'u.count', value: (i) => `sum_of(${i})` })}
}`,
  examples: [{ type: 'f32' }, { type: 'f16' }, { type: 'packed' }],
});

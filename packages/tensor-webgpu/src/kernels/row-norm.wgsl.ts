import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

/** Row-wise normalisations: what is subtracted and divided by. */
export type RowNorm = 'layer' | 'l2';

interface RowSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly norm: RowNorm;
  readonly type: 'f32' | 'f16';
}

const workgroup = 32;
const head = `@compute @workgroup_size(${workgroup})
fn main(${flatParameters}) {
  let row = (${flatGroup}) * ${workgroup}u + local;
  if (row >= u.rows) { return; }
  let first = row * u.vectors;`;

/** Rows that one workgroup handles. */
export const rowsPerGroup: number = workgroup;

/**
 * layer: y = (x - mean) / sqrt(var + eps);  l2: y = x / max(|x|, eps).  x, y: [R, C], C a multiple of 4; factor: [R] is the divisor's inverse.
 * One invocation a row.
 */
export const rowNormKernel: Kernel<RowSpec> = defineKernel<RowSpec>({
  name: 'row-norm',
  bindings: ({ type }) => ({
    x: `read vec4<${type}>` as Binding,
    y: `write vec4<${type}>` as Binding,
    factor: 'write f32',
  }),
  uniforms: { rows: 'u32', vectors: 'u32', eps: 'f32' },
  code: ({ norm, type }) => `${head}
  let C = f32(u.vectors * 4u);
  var mean = 0.0;
  ${norm === 'layer' ? `var s = vec4<f32>(0.0); for (var k = 0u; k < u.vectors; k++) { s += vec4<f32>(x[first + k]); } mean = (s.x + s.y + s.z + s.w) / C;` : ''}
  var q = vec4<f32>(0.0);
  for (var k = 0u; k < u.vectors; k++) { let v = vec4<f32>(x[first + k]) - mean; q += v * v; }
  let total = q.x + q.y + q.z + q.w;
  let f = ${norm === 'layer' ? 'inverseSqrt(total / C + u.eps)' : '1.0 / max(sqrt(total), u.eps)'};
  for (var k = 0u; k < u.vectors; k++) { y[first + k] = vec4<${type}>((vec4<f32>(x[first + k]) - mean) * f); }
  factor[row] = f;
}`,
  examples: [
    { norm: 'layer', type: 'f32' },
    { norm: 'l2', type: 'f16' },
  ],
});

/** dx = f (dy - y mean(dy y) - mean(dy)) for layer, f (dy - y sum(dy y)) for l2 (f dy where the divisor was eps).  y, dy, dx: [R, C].  One invocation a row. */
export const rowNormInputKernel: Kernel<RowSpec> = defineKernel<RowSpec>({
  name: 'row-norm-input',
  bindings: ({ type }) => ({
    y: `read vec4<${type}>` as Binding,
    dy: `read vec4<${type}>` as Binding,
    factor: 'read f32',
    dx: `write vec4<${type}>` as Binding,
  }),
  uniforms: { rows: 'u32', vectors: 'u32', eps: 'f32' },
  code: ({ norm, type }) => `${head}
  let C = f32(u.vectors * 4u);
  var s = vec4<f32>(0.0);
  var q = vec4<f32>(0.0);
  for (var k = 0u; k < u.vectors; k++) { let d = vec4<f32>(dy[first + k]); s += d; q += d * vec4<f32>(y[first + k]); }
  let f = factor[row];
  let mean = ${norm === 'layer' ? '(s.x + s.y + s.z + s.w) / C' : '0.0'};
  let along = ${norm === 'layer' ? '(q.x + q.y + q.z + q.w) / C' : 'select(q.x + q.y + q.z + q.w, 0.0, f * u.eps >= 1.0)'};
  for (var k = 0u; k < u.vectors; k++) { dx[first + k] = vec4<${type}>(f * (vec4<f32>(dy[first + k]) - mean - vec4<f32>(y[first + k]) * along)); }
}`,
  examples: [
    { norm: 'layer', type: 'f16' },
    { norm: 'l2', type: 'f32' },
  ],
});

import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import { elementType, type FloatStorage, storedVector, vectorOf } from './storage.ts';

interface RopeSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
}

/** (y0, y1) = (x0 cos - x1 sin, x0 sin + x1 cos) for each pair.  x, y: [B, L, N, d], table: [L, d/2, 2].  One invocation 4 vectors of two pairs. */
export const ropeKernel: Kernel<RopeSpec> = defineKernel<RopeSpec>({
  name: 'rope',
  bindings: ({ type }) => ({
    x: `read ${elementType(type, 4)}` as Binding,
    table: 'read vec4<f32>',
    y: `write ${elementType(type, 4)}` as Binding,
  }),
  uniforms: { count: 'u32', vectors: 'u32', heads: 'u32', positions: 'u32', direction: 'f32' },
  code: ({ type }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.count) {
      let position = (i / (u.vectors * u.heads)) % u.positions;
      let turn = table[position * u.vectors + i % u.vectors];
      let v = ${vectorOf(type, 'x[i]')};
      let sine = turn.yw * u.direction;
      y[i] = ${storedVector(type, 'v * turn.xxzz + v.yxwz * vec4<f32>(-sine.x, sine.x, -sine.y, sine.y)')};
    }
  }
}`,
  examples: [{ type: 'f32' }, { type: 'f16' }, { type: 'packed' }],
});

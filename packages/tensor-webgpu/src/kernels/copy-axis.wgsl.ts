import { defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

interface CopyAxisSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: string;
}

/** y[o, start + j] = x[o, j] for rows o and j < inner.  x: [outer, inner] packed, y: [outer, stride].  One invocation an element. */
export const copyAxisKernel: Kernel<CopyAxisSpec> = defineKernel<CopyAxisSpec>({
  name: 'copy-axis',
  bindings: ({ type }) => ({ x: `read ${type}`, y: `read_write ${type}` }),
  uniforms: { count: 'u32', inner: 'u32', stride: 'u32', start: 'u32' },
  code: () => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.count) { y[(i / u.inner) * u.stride + u.start + i % u.inner] = x[i]; }
  }
}`,
  examples: [{ type: 'f32' }, { type: 'u32' }, { type: 'f16' }],
});

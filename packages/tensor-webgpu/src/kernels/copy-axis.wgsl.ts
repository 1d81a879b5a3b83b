import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import { elementAt, elementType, type Storage } from './storage.ts';

interface CopyAxisSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: Storage;
}

const copyLoop = (body: string): string => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.count) { ${body} }
  }
}`;

/** WGSL: what half `at` of y becomes: x's element where it lies in the copied run, else what it was. */
const half = (at: string, old: string): string =>
  `select(${old}, ${elementAt('packed', 'x', `min(${at} / u.stride * u.inner + ${at} % u.stride - u.start, u.last)`)}, ${at} % u.stride - u.start < u.inner)`;

/**
 * y[o, start + j] = x[o, j] for rows o and j < inner.  x: [outer, inner], y: [outer, stride].
 * One invocation an element of x, or a word of y where runs of packed halves may start or end in the middle of one.
 */
export const copyAxisKernel: Kernel<CopyAxisSpec> = defineKernel<CopyAxisSpec>({
  name: 'copy-axis',
  bindings: ({ type }) => ({
    x: `read ${elementType(type, 1)}` as Binding,
    y: `read_write ${elementType(type, 1)}` as Binding,
  }),
  uniforms: { count: 'u32', inner: 'u32', stride: 'u32', start: 'u32', last: 'u32' },
  code: ({ type }) =>
    copyLoop(
      type === 'packed'
        ? `let old = unpack2x16float(y[i]); y[i] = pack2(vec2<f32>(${half('(2u * i)', 'old.x')}, ${half('(2u * i + 1u)', 'old.y')}));`
        : 'y[(i / u.inner) * u.stride + u.start + i % u.inner] = x[i];',
    ),
  examples: [{ type: 'f32' }, { type: 'u32' }, { type: 'f16' }, { type: 'packed' }],
});

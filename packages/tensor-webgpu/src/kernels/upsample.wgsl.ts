import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import { elementType, type FloatStorage, storedVector, vectorOf } from './storage.ts';

interface UpsampleSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
  /** Forward repeats pixels, backward adds the repeated ones up. */
  readonly direction: 'forward' | 'backward';
}

/** y[b, i, j, :] = x[b, i/f, j/f, :], or its transpose.  x: [B, H, W, C], y: [B, fH, fW, C].  One invocation a vector of 4 channels of the result. */
export const upsampleKernel: Kernel<UpsampleSpec> = defineKernel<UpsampleSpec>({
  name: 'upsample',
  bindings: ({ type }) => ({
    x: `read ${elementType(type, 4)}` as Binding,
    y: `write ${elementType(type, 4)}` as Binding,
  }),
  uniforms: { count: 'u32', width: 'u32', vectors: 'u32', factor: 'u32' },
  code: ({ type, direction }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let channel = i % u.vectors;
  let column = (i / u.vectors) % u.width;
  let line = i / (u.vectors * u.width);
  ${
    direction === 'forward'
      ? 'y[i] = x[((line / u.factor) * (u.width / u.factor) + column / u.factor) * u.vectors + channel];'
      : `var total = vec4<f32>(0.0);
  for (var dy = 0u; dy < u.factor; dy++) {
    for (var dx = 0u; dx < u.factor; dx++) {
      total += ${vectorOf(type, 'x[((line * u.factor + dy) * u.width * u.factor + column * u.factor + dx) * u.vectors + channel]')};
    }
  }
  y[i] = ${storedVector(type, 'total')};`
  }
}`,
  examples: [
    { type: 'f32', direction: 'forward' },
    { type: 'f16', direction: 'backward' },
    { type: 'packed', direction: 'forward' },
    { type: 'packed', direction: 'backward' },
  ],
});

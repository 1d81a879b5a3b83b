import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

interface Typed extends Readonly<Record<string, number | string | boolean>> {
  readonly type: 'f32' | 'f16';
}

interface Activated extends Typed {
  readonly silu: boolean;
}

const vec = (access: 'read' | 'write', type: string): Binding => `${access} vec4<${type}>`;

/**
 * partial[p, c] = (sum of a, sum of a b) over a strip p of pixels, for four neighbouring channels.
 * a, b: [B, P, C] with P pixels; partial: [B, strips, C] twice.  One invocation walks one strip of one channel vector.
 */
export const channelSumsKernel: Kernel<Typed> = defineKernel<Typed>({
  name: 'channel-sums',
  bindings: ({ type }) => ({
    a: vec('read', type),
    b: vec('read', type),
    sum_a: 'write vec4<f32>',
    sum_ab: 'write vec4<f32>',
  }),
  uniforms: { count: 'u32', pixels: 'u32', vectors: 'u32', strips: 'u32', strip: 'u32' },
  code: () => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let channel = i % u.vectors;
  let strip = (i / u.vectors) % u.strips;
  let image = i / (u.vectors * u.strips);
  let first = strip * u.strip;
  let last = min(first + u.strip, u.pixels);
  var s = vec4<f32>(0.0);
  var q = vec4<f32>(0.0);
  for (var p = first; p < last; p++) {
    let at = (image * u.pixels + p) * u.vectors + channel;
    let v = vec4<f32>(a[at]);
    s += v;
    q += v * vec4<f32>(b[at]);
  }
  sum_a[i] = s;
  sum_ab[i] = q;
}`,
  examples: [{ type: 'f32' }, { type: 'f16' }],
});

/**
 * y = act((x - mean) rstd weight + bias) with the statistics of the group.  x, y: [B, P, C]; mean, rstd: [B, groups].
 * One invocation computes 4 vectors of 4 channels.
 */
export const groupNormKernel: Kernel<Activated> = defineKernel<Activated>({
  name: 'group-norm',
  bindings: ({ type }) => ({
    x: vec('read', type),
    mean: 'read f32',
    rstd: 'read f32',
    weight: `read vec4<${type}>`,
    bias: `read vec4<${type}>`,
    y: vec('write', type),
  }),
  uniforms: { count: 'u32', image: 'u32', vectors: 'u32', groups: 'u32', per_group: 'u32' },
  code: ({ silu, type }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.count) {
      let channel = i % u.vectors;
      let base = i / u.image * u.groups;
      let g = base + (vec4<u32>(channel * 4u) + vec4<u32>(0u, 1u, 2u, 3u)) / u.per_group;
      let m = vec4<f32>(mean[g.x], mean[g.y], mean[g.z], mean[g.w]);
      let r = vec4<f32>(rstd[g.x], rstd[g.y], rstd[g.z], rstd[g.w]);
      let v = (vec4<f32>(x[i]) - m) * r * vec4<f32>(weight[channel]) + vec4<f32>(bias[channel]);
      y[i] = vec4<${type}>(${silu ? 'v / (1.0 + exp(-v))' : 'v'});
    }
  }
}`,
  examples: [
    { type: 'f32', silu: true },
    { type: 'f16', silu: false },
  ],
});

/** dv = dy act'(v) where v is the normalised, scaled and shifted x; and xhat beside it.  Shapes as in group-norm. */
export const groupNormSlopeKernel: Kernel<Activated> = defineKernel<Activated>({
  name: 'group-norm-slope',
  bindings: ({ type }) => ({
    x: vec('read', type),
    dy: vec('read', type),
    mean: 'read f32',
    rstd: 'read f32',
    weight: `read vec4<${type}>`,
    bias: `read vec4<${type}>`,
    xhat: vec('write', type),
    dv: vec('write', type),
  }),
  uniforms: { count: 'u32', image: 'u32', vectors: 'u32', groups: 'u32', per_group: 'u32' },
  code: ({ silu, type }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.count) {
      let channel = i % u.vectors;
      let base = i / u.image * u.groups;
      let g = base + (vec4<u32>(channel * 4u) + vec4<u32>(0u, 1u, 2u, 3u)) / u.per_group;
      let m = vec4<f32>(mean[g.x], mean[g.y], mean[g.z], mean[g.w]);
      let r = vec4<f32>(rstd[g.x], rstd[g.y], rstd[g.z], rstd[g.w]);
      let h = (vec4<f32>(x[i]) - m) * r;
      xhat[i] = vec4<${type}>(h);
      let v = h * vec4<f32>(weight[channel]) + vec4<f32>(bias[channel]);
      let s = 1.0 / (1.0 + exp(-v));
      dv[i] = vec4<${type}>(vec4<f32>(dy[i])${silu ? ' * s * (1.0 + v * (1.0 - s))' : ''});
    }
  }
}`,
  examples: [
    { type: 'f32', silu: true },
    { type: 'f16', silu: false },
  ],
});

/** dx = rstd (weight dv - A - xhat B) with A, B the group means of weight dv and weight dv xhat.  a, b: [B, groups]. */
export const groupNormInputKernel: Kernel<Typed> = defineKernel<Typed>({
  name: 'group-norm-input',
  bindings: ({ type }) => ({
    xhat: vec('read', type),
    dv: vec('read', type),
    a: 'read f32',
    b: 'read f32',
    rstd: 'read f32',
    weight: `read vec4<${type}>`,
    dx: vec('write', type),
  }),
  uniforms: { count: 'u32', image: 'u32', vectors: 'u32', groups: 'u32', per_group: 'u32' },
  code: ({ type }) => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let first = (${flatGroup}) * 256u + local;
  for (var j = 0u; j < 4u; j++) {
    let i = first + j * 64u;
    if (i < u.count) {
      let channel = i % u.vectors;
      let base = i / u.image * u.groups;
      let g = base + (vec4<u32>(channel * 4u) + vec4<u32>(0u, 1u, 2u, 3u)) / u.per_group;
      let r = vec4<f32>(rstd[g.x], rstd[g.y], rstd[g.z], rstd[g.w]);
      let ga = vec4<f32>(a[g.x], a[g.y], a[g.z], a[g.w]);
      let gb = vec4<f32>(b[g.x], b[g.y], b[g.z], b[g.w]);
      dx[i] = vec4<${type}>(r * (vec4<f32>(weight[channel]) * vec4<f32>(dv[i]) - ga - vec4<f32>(xhat[i]) * gb));
    }
  }
}`,
  examples: [{ type: 'f32' }, { type: 'f16' }],
});

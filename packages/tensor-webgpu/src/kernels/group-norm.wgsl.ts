import { type Binding, defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';
import { elementType, type FloatStorage, storedVector, vectorOf } from './storage.ts';

interface Typed extends Readonly<Record<string, number | string | boolean>> {
  readonly type: FloatStorage;
}

interface Activated extends Typed {
  readonly silu: boolean;
}

/** Where an invocation works: `count` strips of channel vectors in pictures of `pixels`, channels in groups. */
const places = {
  count: 'u32',
  pixels: 'u32',
  vectors: 'u32',
  strips: 'u32',
  strip: 'u32',
  groups: 'u32',
  per_group: 'u32',
} as const;

const examples = [
  { type: 'f32', silu: true },
  { type: 'f16', silu: false },
  { type: 'packed', silu: true },
] as const;

const vectors = (access: 'read' | 'write', type: FloatStorage): Binding => `${access} ${elementType(type, 4)}`;

/** Runs the body at each pixel of a strip for four neighbouring channels; `at` is the vector's place. */
const alongStrip = (before: string, body: string, after = ''): string => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let channel = i % u.vectors;
  let strip = (i / u.vectors) % u.strips;
  let image = i / (u.vectors * u.strips);
  let first = (image * u.pixels + strip * u.strip) * u.vectors + channel;
  let last = (image * u.pixels + min((strip + 1u) * u.strip, u.pixels)) * u.vectors;
  ${before}
  for (var at = first; at < last; at += u.vectors) {
    ${body}
  }
  ${after}
}`;

const four = (name: string, part: 'x' | 'y'): string =>
  `vec4<f32>(${['x', 'y', 'z', 'w'].map((lane) => `${name}[g.${lane}].${part}`).join(', ')})`;

/** Groups of the four channels, and the normalisation as (x - m) scale + shift. */
const normalisation = `let g = vec4<u32>(image * u.groups) + (vec4<u32>(channel * 4u) + vec4<u32>(0u, 1u, 2u, 3u)) / u.per_group;
  let m = ${four('statistics', 'x')};
  let r = ${four('statistics', 'y')};
  let scale = r * weight[channel];
  let shift = bias[channel];`;

/** dv = dy act'(v) at the normalised, scaled and shifted value v. */
const slope = ({ silu, type }: Activated): string =>
  silu
    ? `let v = (value - m) * scale + shift;
    let gate = 1.0 / (1.0 + exp(-v));
    let dv = ${vectorOf(type, 'dy[at]')} * gate * (1.0 + v * (1.0 - gate));`
    : `let dv = ${vectorOf(type, 'dy[at]')};`;

const affine: Record<string, Binding> = {
  statistics: 'read vec2<f32>',
  weight: 'read vec4<f32>',
  bias: 'read vec4<f32>',
};

/** sums[p, c] = (sum of x, sum of x^2) over a strip p of pixels.  x: [B, P, C], sums: [B, strips, C] twice.  One invocation a strip of four channels. */
export const groupNormSumsKernel: Kernel<Typed> = defineKernel<Typed>({
  name: 'group-norm-sums',
  bindings: ({ type }) => ({ x: vectors('read', type), sums: 'write vec4<f32>', squares: 'write vec4<f32>' }),
  uniforms: places,
  code: ({ type }) =>
    alongStrip(
      'var s = vec4<f32>(0.0); var q = vec4<f32>(0.0);',
      `let value = ${vectorOf(type, 'x[at]')}; s += value; q += value * value;`,
      'sums[i] = s; squares[i] = q;',
    ),
  examples: [{ type: 'f32' }, { type: 'f16' }, { type: 'packed' }],
});

/** Mean and 1 / sqrt(variance + eps) of each group from the strips' sums.  sums, squares: [B, strips, C] -> statistics: [B, groups, 2].  One invocation a group. */
export const groupNormStatisticsKernel: Kernel = defineKernel({
  name: 'group-norm-statistics',
  bindings: { sums: 'read f32', squares: 'read f32', statistics: 'write vec2<f32>' },
  uniforms: { count: 'u32', strips: 'u32', groups: 'u32', per_group: 'u32', scale: 'f32', eps: 'f32' },
  code: () => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let width = u.groups * u.per_group;
  var s = 0.0; var q = 0.0;
  for (var strip = 0u; strip < u.strips; strip++) {
    let first = (i / u.groups * u.strips + strip) * width + i % u.groups * u.per_group;
    for (var at = first; at < first + u.per_group; at++) { s += sums[at]; q += squares[at]; }
  }
  let m = s * u.scale;
  statistics[i] = vec2<f32>(m, inverseSqrt(max(q * u.scale - m * m, 0.0) + u.eps));
}`,
  examples: [{}],
});

/** y = act((x - mean) rstd weight + bias) with the statistics of the group.  x, y: [B, P, C]; statistics: (mean, rstd) [B, groups, 2].  One invocation a strip of four channels. */
export const groupNormKernel: Kernel<Activated> = defineKernel<Activated>({
  name: 'group-norm',
  bindings: ({ type }) => ({ x: vectors('read', type), ...affine, y: vectors('write', type) }),
  uniforms: places,
  code: ({ silu, type }) =>
    alongStrip(
      normalisation,
      `let v = (${vectorOf(type, 'x[at]')} - m) * scale + shift; y[at] = ${storedVector(type, silu ? 'v / (1.0 + exp(-v))' : 'v')};`,
    ),
  examples,
});

/** Sums of dv and of dv xhat over strips, dv = dy act'(v).  x, dy: [B, P, C], sums: [B, strips, C] twice.  One invocation a strip of four channels. */
export const groupNormSlopeSumsKernel: Kernel<Activated> = defineKernel<Activated>({
  name: 'group-norm-slope-sums',
  bindings: ({ type }) => ({
    x: vectors('read', type),
    dy: vectors('read', type),
    ...affine,
    sums: 'write vec4<f32>',
    products: 'write vec4<f32>',
  }),
  uniforms: places,
  code: (spec) =>
    alongStrip(
      `${normalisation}
  var s = vec4<f32>(0.0); var p = vec4<f32>(0.0);`,
      `let value = ${vectorOf(spec.type, 'x[at]')};
    ${slope(spec)}
    s += dv; p += dv * (value - m) * r;`,
      'sums[i] = s; products[i] = p;',
    ),
  examples,
});

/** Group means of weight dv and of weight dv xhat, from the strips' sums.  sums, products: [B, strips, C] -> means: [B, groups, 2].  One invocation a group. */
export const groupNormSlopeMeansKernel: Kernel = defineKernel({
  name: 'group-norm-slope-means',
  bindings: { sums: 'read f32', products: 'read f32', weight: 'read f32', means: 'write vec2<f32>' },
  uniforms: { count: 'u32', strips: 'u32', groups: 'u32', per_group: 'u32', scale: 'f32' },
  code: () => `
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.count) { return; }
  let width = u.groups * u.per_group;
  let channel = i % u.groups * u.per_group;
  var s = 0.0; var p = 0.0;
  for (var strip = 0u; strip < u.strips; strip++) {
    let first = (i / u.groups * u.strips + strip) * width + channel;
    for (var j = 0u; j < u.per_group; j++) {
      let w = weight[channel + j];
      s += w * sums[first + j]; p += w * products[first + j];
    }
  }
  means[i] = vec2<f32>(s, p) * u.scale;
}`,
  examples: [{}],
});

/** dx = rstd (weight dv - A - xhat B) with A, B the group means of weight dv and weight dv xhat.  means: (A, B) [B, groups, 2].  One invocation a strip of four channels. */
export const groupNormInputKernel: Kernel<Activated> = defineKernel<Activated>({
  name: 'group-norm-input',
  bindings: ({ type }) => ({
    x: vectors('read', type),
    dy: vectors('read', type),
    ...affine,
    means: 'read vec2<f32>',
    dx: vectors('write', type),
  }),
  uniforms: places,
  code: (spec) =>
    alongStrip(
      `${normalisation}
  let slant = r * r * ${four('means', 'y')};
  let level = r * ${four('means', 'x')};`,
      `let value = ${vectorOf(spec.type, 'x[at]')};
    ${slope(spec)}
    dx[at] = ${storedVector(spec.type, 'scale * dv - level - (value - m) * slant')};`,
    ),
  examples,
});

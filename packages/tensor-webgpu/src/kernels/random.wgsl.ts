import { defineKernel, type Kernel } from './define-kernel.ts';
import { flatGroup, flatParameters } from './snippets.ts';

/** Random distributions: what a kernel makes of uniform words. */
export type Distribution = 'uniform' | 'normal' | 'gumbel' | 'bernoulli';

interface RandomSpec extends Readonly<Record<string, number | string | boolean>> {
  readonly distribution: Distribution;
}

/**
 * WGSL: Philox4x32-10 (Salmon et al., 2011), one block of four words from a counter and a key.
 * WGSL has no 64-bit product, so its high half is put together from 16-bit halves.
 */
export const philoxSnippet: string = `
fn multiply_high(a: u32, b: u32) -> u32 {
  let a0 = a & 0xffffu; let a1 = a >> 16u; let b0 = b & 0xffffu; let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u);
  return a1 * b1 + (middle >> 16u) + ((a0 * b1 + (middle & 0xffffu)) >> 16u);
}
fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
  var c = counter; var key = seed;
  for (var round = 0u; round < 10u; round++) {
    c = vec4<u32>(
      multiply_high(0xcd9e8d57u, c.z) ^ c.y ^ key.x, 0xcd9e8d57u * c.z,
      multiply_high(0xd2511f53u, c.x) ^ c.w ^ key.y, 0xd2511f53u * c.x);
    key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}
fn uniforms(words: vec4<u32>) -> vec4<f32> { return vec4<f32>(words >> vec4<u32>(8u)) * ${2 ** -24}; }`;

/** Numbers that one block of four words makes. */
export const numbersPerBlock = (distribution: Distribution): number => (distribution === 'normal' ? 2 : 4);

const draws: Readonly<Record<Distribution, string>> = {
  uniform: 'let value = uniforms(words);',
  bernoulli: 'let value = select(vec4<f32>(0.0), vec4<f32>(1.0), uniforms(words) < vec4<f32>(u.probability));',
  normal: `let part = uniforms(words);
  let value = (sqrt(2.0 * exponential(part.xxzz)) * cosine(part.yyww)).xzxz;`,
  gumbel: `let cell = vec4<f32>(words >> vec4<u32>(9u)) + 0.5;
  let value = -log(exponential(1.0 - cell * ${2 ** -23}));`,
};

/**
 * WGSL: functions as accurate as f32 on every adapter, where built-in ones may be off by 1e-4.
 * exponential(x) = -log(1 - x); for small x that is 2 atanh(x / (2 - x)) by its series, t <= 1/3.
 * cosine(x) = cos(2 pi x) for x in [0, 1), folded to a sine of an angle within a quarter turn, by its series.
 */
const accurateSnippet = `
fn exponential(x: vec4<f32>) -> vec4<f32> {
  let t = x / (2.0 - x); let q = t * t;
  let series = 2.0 * t * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0))))));
  return select(-log(1.0 - x), series, x < vec4<f32>(0.5));
}
fn cosine(x: vec4<f32>) -> vec4<f32> {
  let t = ${2 * Math.PI} * (abs(x - 0.5) - 0.25); let q = t * t;
  return t * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0 * (1.0 - q / 110.0 * (1.0 - q / 156.0))))));
}`;

/**
 * y[g, i] = number offset + i of stream `stream` under the seed of group g.  y: [groups, perGroup], seeds: [groups] of two words.
 * One invocation turns one block of four words into its four (normal: two) numbers.
 */
export const randomKernel: Kernel<RandomSpec> = defineKernel<RandomSpec>({
  name: 'random',
  bindings: { seeds: 'read vec2<u32>', y: 'write f32' },
  uniforms: { groups: 'u32', perGroup: 'u32', blocks: 'u32', offset: 'u32', stream: 'u32', probability: 'f32' },
  code: ({ distribution }) => {
    const numbers = numbersPerBlock(distribution);
    const store = (j: number): string =>
      `if (at + ${j}u >= u.offset && at + ${j}u - u.offset < u.perGroup) { y[own * u.perGroup + at + ${j}u - u.offset] = value[${j}]; }`;
    return `${philoxSnippet}
${accurateSnippet}
@compute @workgroup_size(64)
fn main(${flatParameters}) {
  let i = (${flatGroup}) * 64u + local;
  if (i >= u.groups * u.blocks) { return; }
  let own = i / u.blocks;
  let block = u.offset / ${numbers}u + i % u.blocks;
  let words = philox(vec4<u32>(block, 0u, u.stream, 0u), seeds[own]);
  ${draws[distribution]}
  let at = block * ${numbers}u;
  ${Array.from({ length: numbers }, (_, j) => store(j)).join('\n  ')}
}`;
  },
  examples: [
    { distribution: 'uniform' },
    { distribution: 'normal' },
    { distribution: 'gumbel' },
    { distribution: 'bernoulli' },
  ],
});

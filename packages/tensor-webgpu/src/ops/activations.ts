/** WGSL: 1 / (1 + exp(-v)), written with exp of a non-positive number, so that no adapter overflows. */
export const sigmoidOf = (v: string): string =>
  `(select(exp(-abs(${v})), vec4<f32>(1.0), ${v} >= vec4<f32>(0.0)) / (1.0 + exp(-abs(${v}))))`;

/** WGSL: tanh, which saturates in f32 beyond 10; some drivers overflow there. */
export const tanhOf = (v: string): string => `tanh(clamp(${v}, vec4<f32>(-10.0), vec4<f32>(10.0)))`;

/** WGSL: argument of the tanh in the tanh-GELU. */
const geluInner = (v: string): string => `(0.7978845608028654 * (${v} + 0.044715 * ${v} * ${v} * ${v}))`;
const geluTanh = (v: string): string => tanhOf(geluInner(v));

/** WGSL over vec4 values: the activation of `a`, and the gradient `a` times the slope at `b`. */
export interface ActivationRule {
  readonly forward: string;
  readonly backward: string;
}

/** The activations that products can end with. */
export const activationRules: Readonly<Record<'relu' | 'gelu' | 'silu', ActivationRule>> = {
  relu: { forward: 'max(a, vec4<f32>(0.0))', backward: 'select(vec4<f32>(0.0), a, b > vec4<f32>(0.0))' },
  silu: {
    forward: `a * ${sigmoidOf('a')}`,
    backward: `a * ${sigmoidOf('b')} * (1.0 + b * (1.0 - ${sigmoidOf('b')}))`,
  },
  // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  gelu: {
    forward: `0.5 * a * (1.0 + ${geluTanh('a')})`,
    backward: `a * (0.5 * (1.0 + ${geluTanh('b')}) + 0.5 * b * (1.0 - ${geluTanh('b')} * ${geluTanh('b')}) * 0.7978845608028654 * (1.0 + 0.134145 * b * b))`,
  },
};

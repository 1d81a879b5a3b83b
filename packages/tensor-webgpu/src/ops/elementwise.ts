import { record } from '../autograd/record.ts';
import { isFloat } from '../dtype.ts';
import { check } from '../errors.ts';
import { Tensor, tensor } from '../tensor.ts';
import { activationRules, sigmoidOf, tanhOf } from './activations.ts';
import { map } from './map.ts';
import { sumTo } from './reduce.ts';

/** A tensor, or a number that stands for a tensor of its peer's dtype. */
export type Operand = Tensor | number;

/** An elementwise op of one tensor: y = forward(a), dx = dy * slope with the slope in terms of x (b) and y (c), dy being a. */
function unary(op: string, x: Tensor, forward: string, backward: string, scalars: readonly number[] = []): Tensor {
  const y = map(op, [x], forward, { scalars });
  return record(op, y, [x], (dy) => [
    map(`${op} backward`, /\bc\b/.test(backward) ? [dy, x, y] : /\bb\b/.test(backward) ? [dy, x] : [dy], backward, {
      scalars,
    }),
  ]);
}

/** An elementwise op of two operands, with its gradients in terms of dy (a), x (b), z (c). */
interface BinaryRule {
  readonly forward: string;
  readonly dx: string;
  readonly dz: string;
  /** Tensor-number forms: b is u.s0. */
  readonly right?: string;
  readonly left?: string;
}

function binary(op: string, x: Operand, z: Operand, rule: BinaryRule): Tensor {
  if (typeof z === 'number') {
    check(op, x instanceof Tensor, () => 'one operand must be a tensor, got two numbers.');
    return withNumber(op, x, z, rule.forward.replace(/\bb\b/g, 'u.s0'), rule.dx.replace(/\bc\b/g, 'u.s0'));
  }
  if (typeof x === 'number') {
    const forward = rule.forward.replace(/\ba\b/g, 'u.s0').replace(/\bb\b/g, 'a');
    return withNumber(op, z, x, forward, rule.dz.replace(/\bb\b/g, 'u.s0').replace(/\bc\b/g, 'b'));
  }
  const mixed = isFloat(x.dtype) && isFloat(z.dtype);
  check(
    op,
    x.dtype === z.dtype || mixed,
    () => `operands must share a dtype or be floats, got ${x.dtype} and ${z.dtype}. Cast one of them.`,
  );
  const y = map(op, [x, z], rule.forward, { dtype: x.dtype === z.dtype ? x.dtype : 'f32' });
  return record(op, y, [x, z], (dy) => [
    sumTo(map(`${op} backward`, inputsFor(rule.dx, dy, x, z), rule.dx), x.shape),
    sumTo(map(`${op} backward`, inputsFor(rule.dz, dy, x, z), rule.dz), z.shape),
  ]);
}

/** Only the operands that an expression needs: a plain `a` or `-a` spares two loads. */
const inputsFor = (expression: string, dy: Tensor, x: Tensor, z: Tensor): Tensor[] =>
  /\b[bc]\b/.test(expression) ? [dy, x, z] : [dy];

/** The form with a number for one operand: forward over a and u.s0, backward over dy (a), the tensor (b) and u.s0. */
function withNumber(op: string, x: Tensor, value: number, forward: string, backward: string): Tensor {
  const vector = (expression: string): string =>
    expression.replace(
      /u\.s0/g,
      x.dtype === 'u32' || x.dtype === 'i32' ? `vec4<${x.dtype}>(${x.dtype}(u.s0))` : 'vec4<f32>(u.s0)',
    );
  const y = map(op, [x], vector(forward), { scalars: [value] });
  return record(op, y, [x], (dy) => [
    map(`${op} backward`, /\bb\b/.test(backward) ? [dy, x] : [dy], vector(backward), { scalars: [value] }),
  ]);
}

/** x + z, broadcast; f32 where one of them is f32 and the other f16, as in the ops below. */
export const add = (x: Operand, z: Operand): Tensor => binary('add', x, z, { forward: 'a + b', dx: 'a', dz: 'a' });
/** x - z, broadcast. */
export const sub = (x: Operand, z: Operand): Tensor => binary('sub', x, z, { forward: 'a - b', dx: 'a', dz: '-a' });
/** x * z, broadcast. */
export const mul = (x: Operand, z: Operand): Tensor =>
  binary('mul', x, z, { forward: 'a * b', dx: 'a * c', dz: 'a * b' });
/** x / z, broadcast. */
export const div = (x: Operand, z: Operand): Tensor =>
  binary('div', x, z, { forward: 'a / b', dx: 'a / c', dz: '-a * b / (c * c)' });
/** The larger of x and z, broadcast; the gradient goes to x on a tie. */
export const maximum = (x: Operand, z: Operand): Tensor =>
  binary('maximum', x, z, {
    forward: 'max(a, b)',
    dx: 'select(vec4<f32>(0.0), a, b >= c)',
    dz: 'select(vec4<f32>(0.0), a, c > b)',
  });
/** The smaller of x and z, broadcast; the gradient goes to x on a tie. */
export const minimum = (x: Operand, z: Operand): Tensor =>
  binary('minimum', x, z, {
    forward: 'min(a, b)',
    dx: 'select(vec4<f32>(0.0), a, b <= c)',
    dz: 'select(vec4<f32>(0.0), a, c < b)',
  });

/** x to a constant power; x must be positive unless the power is a small integer. */
export function pow(x: Tensor, exponent: number): Tensor {
  if (exponent === 2) return square(x);
  if (Number.isInteger(exponent)) return integerPower(x, exponent);
  return unary('pow', x, 'pow(a, vec4<f32>(u.s0))', 'a * u.s0 * pow(b, vec4<f32>(u.s0 - 1.0))', [exponent]);
}

/** x^n for integer n, also for negative x: WGSL's pow is undefined there. */
function integerPower(x: Tensor, exponent: number): Tensor {
  const power = (base: string, n: number): string => {
    const magnitude = `pow(abs(${base}), vec4<f32>(${n}.0))`;
    const value = n % 2 === 0 ? magnitude : `sign(${base}) * ${magnitude}`;
    return n === 0 ? 'vec4<f32>(1.0)' : value;
  };
  return unary('pow', x, power('a', exponent), `a * u.s0 * ${power('b', exponent - 1)}`, [exponent]);
}

/** -x. */
export const neg = (x: Tensor): Tensor => unary('neg', x, '-a', '-a');
/** |x|; its gradient at 0 is 0. */
export const abs = (x: Tensor): Tensor => unary('abs', x, 'abs(a)', 'a * sign(b)');
/** x^2. */
export const square = (x: Tensor): Tensor => unary('square', x, 'a * a', '2.0 * a * b');
/** e^x. */
export const exp = (x: Tensor): Tensor => unary('exp', x, 'exp(a)', 'a * c');
/** The natural logarithm of x. */
export const log = (x: Tensor): Tensor => unary('log', x, 'log(a)', 'a / b');
/** The square root of x. */
export const sqrt = (x: Tensor): Tensor => unary('sqrt', x, 'sqrt(a)', '0.5 * a / c');
const activated = (name: keyof typeof activationRules, x: Tensor): Tensor =>
  unary(name, x, activationRules[name].forward, activationRules[name].backward);

/** max(x, 0). */
export const relu = (x: Tensor): Tensor => activated('relu', x);
/** x where it is positive, else a share of it (Maas et al., 2013). */
export const leakyRelu = (x: Tensor, slope: number): Tensor =>
  unary('leakyRelu', x, 'select(a * u.s0, a, a > vec4<f32>(0.0))', 'select(a * u.s0, a, b > vec4<f32>(0.0))', [slope]);
/** x limited to low..high; no gradient outside. */
export const clamp = (x: Tensor, low: number, high: number): Tensor =>
  unary(
    'clamp',
    x,
    'clamp(a, vec4<f32>(u.s0), vec4<f32>(u.s1))',
    'select(vec4<f32>(0.0), a, (b >= vec4<f32>(u.s0)) & (b <= vec4<f32>(u.s1)))',
    [low, high],
  );

/** 1 / (1 + exp(-x)). */
export const sigmoid = (x: Tensor): Tensor => unary('sigmoid', x, sigmoidOf('a'), 'a * c * (1.0 - c)');
/** The hyperbolic tangent of x. */
export const tanh = (x: Tensor): Tensor => unary('tanh', x, tanhOf('a'), 'a * (1.0 - c * c)');
/** x * sigmoid(x). */
export const silu = (x: Tensor): Tensor => activated('silu', x);
/** x * sigmoid(1.702 x), the GELU of OpenAI's CLIP. */
export const quickGelu = (x: Tensor): Tensor =>
  unary(
    'quickGelu',
    x,
    `a * ${sigmoidOf('(1.702 * a)')}`,
    `a * ${sigmoidOf('(1.702 * b)')} * (1.0 + 1.702 * b * (1.0 - ${sigmoidOf('(1.702 * b)')}))`,
  );

/** 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
export const gelu = (x: Tensor): Tensor => activated('gelu', x);

/** WGSL: t = 1/(1 + p|z|) of the Abramowitz-Stegun erf 7.1.26 is too coarse for f32, so erf is a degree-13/8 rational of z clamped to +-4. */
const erfOf = (v: string): string => {
  const z = `clamp(${v}, vec4<f32>(-3.925), vec4<f32>(3.925))`;
  const z2 = `((${z}) * (${z}))`;
  const horner = (coefficients: readonly string[]): string =>
    coefficients.slice(1).reduce((sum, c) => `(${sum} * ${z2} + ${c})`, `vec4<f32>(${coefficients[0]})`);
  const numerator = horner([
    '-2.72614225801306e-10',
    '2.77068142495902e-08',
    '-2.10102402082508e-06',
    '-5.69250639462346e-05',
    '-7.34990630326855e-04',
    '-2.95459980854025e-03',
    '-1.60960333262415e-02',
  ]);
  const denominator = horner([
    '-1.45660718464996e-05',
    '-2.13374055278905e-04',
    '-1.68282697438203e-03',
    '-7.37332916720468e-03',
    '-1.42647390514189e-02',
  ]);
  return `((${z}) * ${numerator} / ${denominator})`;
};
/** 0.5 x (1 + erf(x / sqrt 2)), the exact GELU; erf by a rational minimax fit good to f32. */
export const geluErf = (x: Tensor): Tensor =>
  unary(
    'geluErf',
    x,
    `0.5 * a * (1.0 + ${erfOf('(a * 0.7071067811865476)')})`,
    `a * (0.5 * (1.0 + ${erfOf('(b * 0.7071067811865476)')}) + b * 0.3989422804014327 * exp(-0.5 * b * b))`,
  );

/** Elementwise comparison to bool, broadcast. */
function compare(op: string, x: Tensor, z: Operand, symbol: string): Tensor {
  const result = (right: string): string => `select(vec4<u32>(0u), vec4<u32>(1u), a ${symbol} ${right})`;
  if (typeof z !== 'number') return map(op, [x, z], result('b'), { dtype: 'bool' });
  const type = x.dtype === 'u32' || x.dtype === 'i32' ? x.dtype : x.dtype === 'bool' ? 'u32' : 'f32';
  return map(op, [x], result(`vec4<${type}>(${type}(u.s0))`), { dtype: 'bool', scalars: [z] });
}

/** Whether x equals z, broadcast -> bool. No gradient. */
export const equal = (x: Tensor, z: Operand): Tensor => compare('equal', x, z, '==');
/** Whether x is less than z, broadcast -> bool. No gradient. */
export const less = (x: Tensor, z: Operand): Tensor => compare('less', x, z, '<');
/** Whether x is greater than z, broadcast -> bool. No gradient. */
export const greater = (x: Tensor, z: Operand): Tensor => compare('greater', x, z, '>');

/** x led away from z by a strength: (1 + t) x - t z, and x itself where t is 0, whatever z; t is broadcast. */
export function extrapolate(x: Tensor, z: Tensor, t: Operand): Tensor {
  const strength = typeof t === 'number' ? tensor([t], [1]) : t;
  const y = map('extrapolate', [x, z, strength], 'select((1.0 + c) * a - c * b, a, c == vec4<f32>(0.0))');
  return record('extrapolate', y, [x, z, strength], (dy) => [
    sumTo(map('extrapolate backward', [dy, strength], 'a * (1.0 + b)'), x.shape),
    sumTo(map('extrapolate backward', [dy, strength], '-a * b'), z.shape),
    sumTo(map('extrapolate backward', [dy, x, z], 'a * (b - c)'), strength.shape),
  ]);
}

/** x where the condition holds, else z; broadcast. condition: bool. */
export function where(condition: Tensor, x: Tensor, z: Tensor): Tensor {
  check('where', condition.dtype === 'bool', () => `condition must be bool, got ${condition.dtype}. Compare first.`);
  const y = map('where', [x, z, condition], 'select(b, a, c != vec4<u32>(0u))');
  return record('where', y, [x, z], (dy) => [
    sumTo(
      map('where backward', [dy, condition], 'select(vec4<f32>(0.0), a, b != vec4<u32>(0u))', { dtype: dy.dtype }),
      x.shape,
    ),
    sumTo(
      map('where backward', [dy, condition], 'select(a, vec4<f32>(0.0), b != vec4<u32>(0u))', { dtype: dy.dtype }),
      z.shape,
    ),
  ]);
}

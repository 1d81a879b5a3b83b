import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, gradcheck, testDevice } from '../testing/index.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import * as ops from './elementwise.ts';
import { expand } from './expand.ts';
import { permute, slice } from './view.ts';

beforeAll(testDevice);

/** Values that keep clear of kinks, zeros and poles. */
const values = (count: number, low = 0.3, high = 2): number[] =>
  Array.from({ length: count }, (_, i) => low + (high - low) * ((i * 0.618_034) % 1));
const signed = (count: number): number[] => values(count).map((v, i) => (i % 2 ? -v : v));

/** Abramowitz and Stegun 7.1.5, the Maclaurin series: exact to float64 for |x| < 3. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 60; n++) sum += (term *= (-x * x) / n) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * sum;
}
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const unary: [keyof typeof ops, (x: Tensor) => Tensor, (x: number) => number, number[]][] = [
  ['neg', ops.neg, (x) => -x, signed(7)],
  ['abs', ops.abs, Math.abs, signed(7)],
  ['square', ops.square, (x) => x * x, signed(7)],
  ['exp', ops.exp, Math.exp, signed(7)],
  ['log', ops.log, Math.log, values(7)],
  ['sqrt', ops.sqrt, Math.sqrt, values(7)],
  ['relu', ops.relu, (x) => Math.max(0, x), signed(7)],
  ['leakyRelu', (x) => ops.leakyRelu(x, 0.2), (x) => (x > 0 ? x : 0.2 * x), signed(7)],
  ['sigmoid', ops.sigmoid, sigmoid, signed(7)],
  ['tanh', ops.tanh, Math.tanh, signed(7)],
  ['silu', ops.silu, (x) => x * sigmoid(x), signed(7)],
  ['quickGelu', ops.quickGelu, (x) => x * sigmoid(1.702 * x), signed(7)],
  ['gelu', ops.gelu, (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))), signed(7)],
  ['geluErf', ops.geluErf, (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)), signed(7)],
  ['pow', (x) => ops.pow(x, 1.5), (x) => x ** 1.5, values(7)],
  ['clamp', (x) => ops.clamp(x, -1, 1), (x) => Math.min(1, Math.max(-1, x)), signed(7)],
];

const binary: [string, (x: Tensor, z: Tensor) => Tensor, (x: number, z: number) => number][] = [
  ['add', ops.add, (x, z) => x + z],
  ['sub', ops.sub, (x, z) => x - z],
  ['mul', ops.mul, (x, z) => x * z],
  ['div', ops.div, (x, z) => x / z],
  ['maximum', ops.maximum, Math.max],
  ['minimum', ops.minimum, Math.min],
];

describe('elementwise ops of one tensor', () => {
  it.each(unary)('%s equals its formula and its numerical gradient', async (_, op, formula, input) => {
    await expectClose(op(tensor(input, [7])), input.map(formula), 1e-5);
    await gradcheck((x) => op(x!), [tensor(input, [7])]);
  });

  it('saturates without overflow far from zero', async () => {
    const far = [-1e4, -100, 100, 1e4];
    await expectClose(ops.sigmoid(tensor(far, [4])), [0, 0, 1, 1], 1e-5);
    await expectClose(ops.tanh(tensor(far, [4])), [-1, -1, 1, 1], 1e-5);
    await expectClose(ops.gelu(tensor(far, [4])), [0, 0, 100, 1e4], 1e-5);
    await expectClose(ops.geluErf(tensor(far, [4])), [0, 0, 100, 1e4], 1e-5);
  });

  it('raises negative numbers to whole powers', async () => {
    await expectClose(ops.pow(tensor([-2, 3, -1], [3]), 3), [-8, 27, -1], 1e-5);
    await gradcheck((x) => ops.pow(x!, 3), [tensor([-2, 3, -1], [3])]);
  });

  it('reads non-contiguous inputs and any length', async () => {
    const x = tensor(signed(15), [3, 5]);
    await expectClose(
      ops.exp(permute(x, [1, 0])),
      Array.from({ length: 15 }, (_, i) => Math.exp(signed(15)[(i % 3) * 5 + Math.floor(i / 3)]!)),
      1e-5,
    );
    await expectClose(
      ops.neg(slice(x, 1, 1, 4)),
      [0, 1, 2].flatMap((r) => signed(15).slice(r * 5 + 1, r * 5 + 4)).map((v) => -v),
      1e-6,
    );
    const long = values(1025);
    await expectClose(
      ops.square(tensor(long, [1025])),
      long.map((v) => v * v),
      1e-6,
    );
  });
});

describe('elementwise ops of two tensors', () => {
  const shapes: [string, number[], number[]][] = [
    ['equal shapes', [3, 5], [3, 5]],
    ['a row for all', [3, 5], [5]],
    ['a column for all', [3, 5], [3, 1]],
    ['both repeated', [3, 1, 5], [1, 7, 1]],
    ['one element', [2, 3], [1]],
  ];
  describe.each(binary)('%s', (_, op, formula) => {
    it.each(shapes)('broadcasts %s, with gradients', async (_case, a, b) => {
      const x = tensor(
        values(
          a.reduce((p, s) => p * s, 1),
          0.5,
          1.5,
        ),
        a,
      );
      const z = tensor(
        values(
          b.reduce((p, s) => p * s, 1),
          1.6,
          3,
        ),
        b,
      );
      const y = op(x, z);
      const wide = [expand(x, y.shape), expand(z, y.shape)].map((t) => ops.add(t, 0));
      const [left, right] = [await wide[0]!.data(), await wide[1]!.data()];
      await expectClose(
        y,
        Array.from(left, (v, i) => formula(v, right[i]!)),
        1e-5,
      );
      await gradcheck((p, q) => op(p!, q!), [x, z]);
    });

    it('takes a number on either side', async () => {
      const x = tensor([0.5, 4, 1.5], [3]);
      const with3 = op as unknown as (x: Tensor | number, z: Tensor | number) => Tensor;
      await expectClose(with3(x, 3), [formula(0.5, 3), formula(4, 3), formula(1.5, 3)], 1e-5);
      await expectClose(with3(3, x), [formula(3, 0.5), formula(3, 4), formula(3, 1.5)], 1e-5);
      await gradcheck((p) => with3(p!, 3), [x]);
      await gradcheck((p) => with3(3, p!), [x]);
    });
  });

  it('extrapolate leads away from the second by a number or a tensor, with gradients', async () => {
    const [x, z] = [signed(21), values(21)];
    const inputs = [tensor(x, [3, 7]), tensor(z, [3, 7]), tensor([1.5], [1])];
    const want = x.map((value, i) => 2.5 * value - 1.5 * z[i]!);
    await expectClose(ops.extrapolate(inputs[0]!, inputs[1]!, inputs[2]!), want, 1e-6);
    await expectClose(ops.extrapolate(inputs[0]!, inputs[1]!, 1.5), want, 1e-6);
    await gradcheck((a, b, t) => ops.extrapolate(a!, b!, t!), inputs);
  });

  it('extrapolate by nothing is the first tensor, whatever the second holds', async () => {
    const endless = tensor([Number.POSITIVE_INFINITY, 3, Number.NEGATIVE_INFINITY], [3]);
    await expectClose(ops.extrapolate(tensor([1, 2, 3], [3]), endless, tensor([0], [1])), [1, 2, 3], 0);
  });

  it('refuses shapes that do not broadcast, and unequal dtypes', () => {
    expect(() => ops.add(tensor([1, 2], [2]), tensor([1, 2, 3], [3]))).toThrow(
      'add: shapes must broadcast, got [2] and [3]. Reshape or expand one of them.',
    );
    expect(() => ops.add(tensor([1], [1]), tensor([1], [1], { dtype: 'u32' }))).toThrow(
      'add: operands must share a dtype or be floats, got f32 and u32. Cast one of them.',
    );
  });
});

describe('comparisons and casts', () => {
  it('compare to bool, and select by it with gradients', async () => {
    const x = tensor([1, 5, 3], [3]);
    const z = tensor([2, 4, 3], [3]);
    expect([...(await ops.less(x, z).data())]).toEqual([1, 0, 0]);
    expect([...(await ops.equal(x, 3).data())]).toEqual([0, 0, 1]);
    await expectClose(ops.where(ops.greater(x, z), x, z), [2, 5, 3], 1e-6);
    const condition = ops.greater(x, z);
    await gradcheck((p, q) => ops.where(condition, p!, q!), [x, z]);
  });

  it('cast cuts towards zero and keeps whole numbers', async () => {
    expect([...(await cast(tensor([1.9, -1.9, 3], [3]), 'i32').hostData())]).toEqual([1, -1, 3]);
    expect([...(await cast(tensor([0, 2, 0.5], [3]), 'bool').data())]).toEqual([0, 1, 1]);
    expect([...(await ops.add(tensor([1, 2], [2], { dtype: 'u32' }), 3).hostData())]).toEqual([4, 5]);
  });
});

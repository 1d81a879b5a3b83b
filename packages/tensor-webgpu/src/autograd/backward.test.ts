import { beforeAll, describe, expect, it } from 'vitest';
import { plan } from '../device/plan.ts';
import { add, mul, square } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { addInto } from '../ops/map.ts';
import { withPrecision } from '../ops/precision.ts';
import { mean, sum } from '../ops/reduce.ts';
import { reshape, slice } from '../ops/view.ts';
import { scope } from '../scope.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { describeHalves, hashed, hashedValues, relativeError, testDevice, valuesOf } from '../testing/index.ts';
import { backward } from './backward.ts';

beforeAll(testDevice);

const leaf = (name: string, shape: readonly number[]): Tensor =>
  Object.assign(hashed(name, shape), { requiresGrad: true });

/** Each kind of use: a product, a scale, and the same matrix twice. */
const lossOf = (x: Tensor, [w, b, s]: readonly Tensor[]): Tensor =>
  mean(square(mul(linear(linear(x, w!, b!), w!), s!)));

const parameters = (): Tensor[] => [leaf('w', [12, 12]), leaf('b', [12]), leaf('s', [12])];

describe('backward onto earlier gradients', () => {
  it('gives the sum of the gradients of two batches, bit for bit', async () => {
    const given = parameters();
    const [first, second] = [hashed('first', [5, 12]), hashed('second', [5, 12])];
    const { apart, together } = scope(() => {
      const [a, b] = [first, second].map((x) => backward(lossOf(x, given), given)) as [Tensor[], Tensor[]];
      const onto = backward(lossOf(first, given), given);
      return {
        apart: a.map((gradient, i) => add(gradient, b[i]!)),
        together: backward(lossOf(second, given), given, undefined, { onto }),
      };
    });
    for (const [i, gradient] of together.entries()) {
      // a matrix that is used twice gets its parts one by one: (g1 + g2') + g2'' instead of g1 + (g2' + g2'')
      if (i === 0) expect(relativeError(await valuesOf(gradient), await valuesOf(apart[i]!))).toBeLessThan(1e-6);
      else expect(await valuesOf(gradient)).toEqual(await valuesOf(apart[i]!));
    }
  });

  it('gives back the same tensors, in fewer dispatches and less memory', () => {
    const given = parameters();
    const x = hashed('x', [5, 12]);
    const sizeOf = (run: () => Tensor[]): { bytes: number; dispatches: number } => {
      const planned = plan(run);
      planned.dispose();
      return planned.size;
    };
    const adding = sizeOf(() => {
      const [a, b] = [backward(lossOf(x, given), given), backward(lossOf(x, given), given)];
      return a.map((gradient, i) => add(gradient, b[i]!));
    });
    const onto = sizeOf(() =>
      backward(lossOf(x, given), given, undefined, { onto: backward(lossOf(x, given), given) }),
    );
    expect(onto.dispatches).toBeLessThan(adding.dispatches);
    expect(onto.bytes).toBeLessThan(adding.bytes);
    const before = scope(() => backward(lossOf(x, given), given));
    const after = scope(() => backward(lossOf(x, given), given, undefined, { onto: before }));
    expect(after.every((gradient, i) => gradient === before[i])).toBe(true);
  });

  it('leaves alone what shares its memory with another tensor', async () => {
    const [a, b] = [leaf('a', [6]), leaf('b', [6])];
    // the two gradients are one tensor seen twice
    const onto = scope(() => backward(sum(add(a, b)), [a, b]));
    const [da, db] = scope(() => backward(sum(mul(a, 2)), [a, b], undefined, { onto }));
    expect([...(await valuesOf(da!))]).toEqual(new Array(6).fill(3));
    expect([...(await valuesOf(db!))]).toEqual(new Array(6).fill(1));
  });

  it('refuses gradients of other tensors, and tensors that are results', () => {
    const [a, b] = [leaf('a', [6]), leaf('b', [3])];
    const loss = sum(square(a));
    expect(() => backward(loss, [a], undefined, { onto: [b] })).toThrow(
      'backward: gradients to add to must be those of the same parameters, got f32 [3] for f32 [6].',
    );
    expect(() => backward(loss, [a, b], undefined, { onto: [a] })).toThrow('got none for f32 [3].');
    const twice = mul(a, 2);
    expect(() => backward(sum(twice), [twice], undefined, { onto: [a] })).toThrow(
      'got f32 [6] for f32 [6], a result of mul.',
    );
  });
});

describeHalves('gradients of shared tensors', () => {
  it('of a matrix used by three products are added up', async () => {
    const [w, x] = [leaf('w', [7, 7]), leaf('x', [3, 7])];
    const [dw] = scope(() => backward(sum(linear(linear(linear(x, w), w), w)), [w]));
    const eps = 1e-2;
    const direction = hashedValues('direction', 49);
    const at = async (sign: number): Promise<number> => {
      const moved = (await w.data()).map((value, i) => value + sign * eps * direction[i]!);
      return scope(() =>
        sum(linear(linear(linear(x, tensor(moved, [7, 7])), tensor(moved, [7, 7])), tensor(moved, [7, 7]))),
      ).item();
    };
    const want = ((await at(1)) - (await at(-1))) / (2 * eps);
    const got = (await dw!.data()).reduce((total, g, i) => total + g * direction[i]!, 0);
    expect(Math.abs(got / want - 1)).toBeLessThan(2e-3);
  });

  it('of halves come in the type of what is given, and close to those of f32', async () => {
    const given = [leaf('w', [9, 9]), leaf('b', [9]), leaf('s', [9])];
    const x = leaf('x', [5, 9]);
    const run = (): Tensor[] => backward(lossOf(slice(reshape(x, [1, 5, 9]), 1, 1, 4), given), [...given, x]);
    const [half, full] = [scope(() => withPrecision('f16', run)), scope(run)];
    expect(half.map(({ dtype }) => dtype)).toEqual(['f32', 'f32', 'f32', 'f32']);
    for (const [i, gradient] of half.entries())
      expect(relativeError(await valuesOf(gradient), await valuesOf(full[i]!)), `gradient ${i}`).toBeLessThan(5e-3);
  });

  it('adds halves in place', async () => {
    const [y, x] = [tensor([1, 2, 3, 4, 5], [5], { dtype: 'f16' }), tensor([1, 1, 1, 0, 0.5], [5], { dtype: 'f16' })];
    addInto(y, x);
    expect([...(await valuesOf(y))]).toEqual([2, 3, 4, 4, 5.5]);
  });
});

describe('gradients that are final', () => {
  it('are reported one by one, latest layer first, each once and with its last value', async () => {
    const [a, b, unused, twice] = ['a', 'b', 'unused', 'twice'].map((name) => leaf(name, [5])) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const reported: [number, Promise<Float32Array>][] = [];
    // `twice` is read by the first and by the last product.
    const loss = sum(square(mul(mul(mul(a, twice), b), twice)));
    const gradients = backward(loss, [a, b, unused, twice], undefined, {
      onFinal: (place, gradient) => reported.push([place, valuesOf(gradient)]),
    });
    expect(reported.map(([place]) => place)).toEqual([1, 0, 3, 2]);
    for (const [place, values] of reported) expect(await values).toEqual(await valuesOf(gradients[place]!));
  });

  it('are those of all batches where they are added onto earlier ones', async () => {
    const [w, x] = [leaf('w', [5]), tensor([1, 2, 3, 4, 5], [5])];
    const once = backward(sum(mul(w, x)), [w]);
    let final: Promise<Float32Array> | undefined;
    backward(sum(mul(w, x)), [w], undefined, { onto: once, onFinal: (_, gradient) => (final = valuesOf(gradient)) });
    expect(await final).toEqual(Float32Array.of(2, 4, 6, 8, 10));
  });
});

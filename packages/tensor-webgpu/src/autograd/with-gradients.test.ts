import { beforeAll, describe, expect, it } from 'vitest';
import { add, exp, mul, square } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { mean, sum } from '../ops/reduce.ts';
import { detach } from '../ops/view.ts';
import { scope } from '../scope.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { expectClose, hashed, testDevice, valuesOf } from '../testing/index.ts';
import { backward } from './backward.ts';
import { noGrad } from './record.ts';
import { withGradients } from './with-gradients.ts';

beforeAll(testDevice);

const leaf = (name: string, shape: readonly number[]): Tensor =>
  Object.assign(hashed(name, shape), { requiresGrad: true });

describe('withGradients', () => {
  it('gives parts weighed on the device the gradients of the weighed sum, behind the cut and before it', async () => {
    const [x, w, shift] = [hashed('x', [5, 8]), leaf('w', [8, 8]), leaf('shift', [8])];
    const parts = (h: Tensor): [Tensor, Tensor] => [mean(square(mul(h, shift))), mean(exp(add(h, shift)))];
    const plain = scope(() => {
      const [first, second] = parts(linear(x, w));
      return backward(add(first, mul(second, 3)), [w, shift], tensor([0.5], []));
    });
    const { cut, value } = scope(() => {
      const h = linear(x, w);
      const seen = Object.assign(detach(h), { requiresGrad: true });
      const [first, second] = parts(seen);
      const [a, b] = [first, second].map((part) => backward(part, [seen, shift])) as [Tensor[], Tensor[]];
      const y = noGrad(() => add(first, mul(second, 3)));
      const loss = withGradients(
        y,
        [h, shift],
        a.map((gradient, i) => add(gradient, mul(b[i]!, 3))),
      );
      return { cut: backward(loss, [w, shift], tensor([0.5], [])), value: add(sum(loss), 0) };
    });
    const wanted = scope(() => noGrad(() => ((first, second) => add(first, mul(second, 3)))(...parts(linear(x, w)))));
    await expectClose(value, wanted, 1e-6);
    // the same sums in another order
    for (const [i, gradient] of cut.entries()) await expectClose(gradient, await valuesOf(plain[i]!), 1e-5);
  });

  it('refuses gradients that do not fit', () => {
    const [a, b] = [leaf('a', [6]), leaf('b', [3])];
    expect(() => withGradients(sum(a), [a, b], [hashed('da', [6])])).toThrow(
      'withGradients: gradients must be one for each input and of its shape, got 1 for 2, and [undefined] for [3].',
    );
    expect(() => withGradients(a, [a], [hashed('da', [6])])).toThrow(
      'withGradients: y must have one element, got [6]. Reduce it with sum or mean.',
    );
  });
});

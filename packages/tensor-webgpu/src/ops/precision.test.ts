import { expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { checkpoint } from '../autograd/checkpoint.ts';
import { scope } from '../scope.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { describeHalves, hashed, relativeError, valuesOf } from '../testing/index.ts';
import { attention } from './attention.ts';
import { conv2d } from './conv2d.ts';
import { add, gelu } from './elementwise.ts';
import { layerNorm } from './norm.ts';
import { linear } from './linear.ts';
import { withPrecision } from './precision.ts';
import { mean, sum } from './reduce.ts';
import { reshape } from './view.ts';

const leaf = (name: string, shape: readonly number[]): Tensor =>
  Object.assign(hashed(name, shape), { requiresGrad: true });

/** Each kind of product, with norms and a residual between them: x [2, 6, 6, 8] -> scalar. */
function network(x: Tensor, [w1, b1, w2, b2, w3]: readonly Tensor[]): Tensor {
  const convolved = conv2d(x, w1!, { bias: b1!, padding: 1 });
  const rows = reshape(gelu(convolved), [2, 36, 32]);
  const projected = linear(layerNorm(rows, { eps: 1e-6 }), w2!, b2!);
  const heads = reshape(projected, [2, 36, 1, 32]);
  const mixed = reshape(attention(heads, heads, heads, { scale: 0.2 }), [2, 36, 32]);
  return mean(gelu(linear(add(rows, mixed), w3!)));
}

const weights = (): Tensor[] => [
  leaf('w1', [32, 8, 3, 3]),
  leaf('b1', [32]),
  leaf('w2', [32, 32]),
  leaf('b2', [32]),
  leaf('w3', [7, 32]),
];

interface Outcome {
  readonly loss: number;
  readonly gradients: readonly Float32Array[];
  readonly types: readonly string[];
}

async function outcomeOf(run: (x: Tensor, ws: readonly Tensor[]) => Tensor, upstream?: Tensor): Promise<Outcome> {
  const [x, ws] = [leaf('x', [2, 6, 6, 8]), weights()];
  const { loss, gradients } = scope(() => {
    const y = run(x, ws);
    return { loss: y, gradients: backward(y, [x, ...ws], upstream) };
  });
  return {
    loss: await loss.item(),
    gradients: await Promise.all(gradients.map(valuesOf)),
    types: gradients.map(({ dtype }) => dtype),
  };
}

const halved = (x: Tensor, ws: readonly Tensor[]): Tensor => withPrecision('f16', () => network(x, ws));

describeHalves('withPrecision', () => {
  it('f16 gives loss and f32 gradients within half precision of f32', async () => {
    const [full, half] = [await outcomeOf(network), await outcomeOf(halved)];
    expect(half.types).toEqual(half.types.map(() => 'f32'));
    expect(half.loss).not.toBe(full.loss);
    // goldens.md: float16 paths come within 5e-3 of float32; gradients pass through two roundings a layer
    expect(Math.abs(half.loss / full.loss - 1)).toBeLessThan(5e-3);
    for (const [i, gradient] of half.gradients.entries())
      expect(relativeError(gradient, full.gradients[i]!), `gradient ${i}`).toBeLessThan(1e-2);
  });

  it('is the same inside a recomputed part, bit for bit', async () => {
    const recomputed = (x: Tensor, ws: readonly Tensor[]): Tensor =>
      withPrecision('f16', () => checkpoint((input) => network(input!, ws), [x], ws));
    expect(await outcomeOf(recomputed)).toEqual(await outcomeOf(halved));
  });

  it('a loss scale multiplies every gradient', async () => {
    const plain = await outcomeOf(network);
    const scaled = await outcomeOf(network, tensor([1024], []));
    for (const [i, gradient] of scaled.gradients.entries())
      expect(
        relativeError(
          gradient.map((value) => value / 1024),
          plain.gradients[i]!,
        ),
      ).toBeLessThan(1e-6);
  });

  it('sums of f16 and f32 are f32, with a gradient for each in its own type', async () => {
    const [x, h] = [leaf('x', [3, 5]), tensor([1, 2, 3, 4, 5], [5], { dtype: 'f16', requiresGrad: true })];
    const { y, gradients } = scope(() => {
      const total = add(x, h);
      return { y: total, gradients: backward(sum(total), [x, h]) };
    });
    expect([y.dtype, ...gradients.map(({ dtype }) => dtype)]).toEqual(['f32', 'f32', 'f16']);
    expect([...(await valuesOf(gradients[1]!))]).toEqual([3, 3, 3, 3, 3]);
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { currentDevice } from '../device/current.ts';
import { add, gelu, mul } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';
import { sum } from '../ops/reduce.ts';
import { bernoulli } from '../ops/random.ts';
import { scope } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { hashed, testDevice, valuesOf } from '../testing/index.ts';
import { backward } from './backward.ts';
import { checkpoint } from './checkpoint.ts';

beforeAll(testDevice);

const leaf = (name: string, shape: readonly number[]): Tensor =>
  Object.assign(hashed(name, shape), { requiresGrad: true });

describe('checkpoint', () => {
  const weights = (): Tensor[] => [1, 2, 3, 4].map((i) => leaf(`w${i}`, [33, 33]));
  /** A layer with dropout: its numbers come from a seed, so that a second run repeats them. */
  const layer = (x: Tensor, weight: Tensor): Tensor =>
    add(x, mul(gelu(matmul(x, weight)), bernoulli([7, 33], 0.5, { seed: 3 })));
  type Stack = (x: Tensor, ws: readonly Tensor[]) => Tensor;
  const plain: Stack = (x, ws) => ws.reduce(layer, x);
  const sparing: Stack = (x, ws) =>
    ws.reduce((y, weight) => checkpoint((input) => layer(input!, weight), [y], [weight]), x);

  const gradients = async (stack: Stack): Promise<Float32Array[]> => {
    const [x, ws] = [leaf('x', [7, 33]), weights()];
    const found = scope(() => backward(sum(stack(x, ws)), [x, ...ws]));
    return Promise.all(found.map(valuesOf));
  };

  it('has the gradients of the plain call, bit for bit', async () => {
    expect(await gradients(sparing)).toEqual(await gradients(plain));
  });

  it('keeps fewer bytes alive between forward and backward', () => {
    const live = (stack: Stack): number => {
      const [x, ws] = [leaf('x', [7, 33]), weights()];
      const before = currentDevice().stats().liveBytes;
      return scope(() => (stack(x, ws), currentDevice().stats().liveBytes - before));
    };
    expect(live(sparing)).toBeLessThan(live(plain) / 3);
  });

  it('leaves no buffer behind', () => {
    const [x, ws] = [leaf('x', [7, 33]), weights()];
    const step = (): void => scope(() => backward(sum(sparing(x, ws)), ws)).forEach((gradient) => gradient.dispose());
    step();
    const before = currentDevice().stats().liveBuffers;
    step();
    expect(currentDevice().stats().liveBuffers).toBe(before);
  });

  it('gives no gradient to inputs that want none', async () => {
    const [x, w] = [hashed('x', [7, 33]), leaf('w', [33, 33])];
    const [dw] = scope(() => backward(sum(checkpoint((input) => layer(input!, w), [x], [w])), [w]));
    const [want] = scope(() => backward(sum(layer(x, w)), [w]));
    expect(await valuesOf(dw!)).toEqual(await valuesOf(want!));
  });
});

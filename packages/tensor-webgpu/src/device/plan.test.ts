import { beforeAll, describe, expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { add, gelu, mul, sub, square } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { matmul } from '../ops/matmul.ts';
import { layerNorm } from '../ops/norm.ts';
import { sgdStep } from '../ops/optimizer.ts';
import { mean, sum } from '../ops/reduce.ts';
import { slice } from '../ops/view.ts';
import { scope } from '../scope.ts';
import { assign, type Tensor, tensor, zeros } from '../tensor.ts';
import { hashed, hashedValues, testDevice, valuesOf } from '../testing/index.ts';
import type { Device } from './device.ts';
import { plan } from './plan.ts';

let device: Device;
beforeAll(async () => void (device = await testDevice()));

const leaf = (name: string, shape: readonly number[]): Tensor =>
  Object.assign(hashed(name, shape), { requiresGrad: true });

/** A small network with its training step: forward, loss, backward, clipless descent in place. */
function network(): { readonly x: Tensor; readonly weights: Tensor[]; step(): Tensor } {
  const [x, target] = [hashed('x', [9, 33]), hashed('target', [9, 7])];
  const weights = [leaf('w1', [65, 33]), leaf('b1', [65]), leaf('w2', [7, 65])];
  const velocities = weights.map(({ shape }) => zeros(shape));
  const step = (): Tensor => {
    const [w1, b1, w2] = weights as [Tensor, Tensor, Tensor];
    const y = linear(gelu(layerNorm(linear(x, w1, b1), { eps: 1e-6 })), w2);
    const loss = mean(square(sub(y, target)));
    const gradients = backward(loss, weights);
    sgdStep(
      weights.map((parameter, i) => ({ parameter, gradient: gradients[i]!, velocity: velocities[i]! })),
      { learningRate: 0.05, momentum: 0.9 },
    );
    return loss;
  };
  return { x, weights, step };
}

describe('plan', () => {
  it('trains to the weights of eager steps, bit for bit, on inputs that change', async () => {
    const [eager, planned] = [network(), network()];
    const replay = plan(planned.step);
    for (let i = 0; i < 20; i++) {
      for (const { x } of [eager, planned]) assign(x, hashedValues(`x${i}`, 9 * 33));
      const want = await scope(eager.step).item();
      replay.run();
      expect(await replay.result.item()).toBe(want);
    }
    for (const [i, weight] of eager.weights.entries())
      expect(await valuesOf(planned.weights[i]!)).toEqual(await valuesOf(weight));
    replay.dispose();
  });

  it('runs nothing while it is made', async () => {
    const { weights, step } = network();
    const before = await valuesOf(weights[0]!);
    const { dispatches } = device.stats();
    const replay = plan(step);
    expect(device.stats().dispatches).toBe(dispatches);
    expect(await valuesOf(weights[0]!)).toEqual(before);
    await expect(replay.result.item()).rejects.toThrow('plan: a result must be read after a run, got none.');
  });

  it('starts from the same constants at each run, also where the function overwrites them', async () => {
    const gradient = tensor([1, 2, 3], [3]);
    const replay = plan(() => {
      const parameter = tensor([10, 20, 30], [3]);
      sgdStep([{ parameter, gradient, velocity: tensor([0, 0, 0], [3]) }], { learningRate: 1 });
      return mul(parameter, 1);
    });
    for (let i = 0; i < 3; i++) {
      replay.run();
      expect([...(await replay.result.data())]).toEqual([9, 18, 27]);
    }
  });

  it('gives what is needed at different times the same memory', () => {
    const x = hashed('x', [64, 1024]);
    const chain = plan(() => sum(Array.from({ length: 10 }, (_, i) => i).reduce((y: Tensor, i) => add(y, i), x)));
    const one = 64 * 1024 * 4;
    expect(chain.size.unsharedBytes).toBeGreaterThan(10 * one);
    expect(chain.size.bytes).toBeLessThan(2.5 * one);
  });

  it('keeps live buffers level over runs and gives all back at the end', () => {
    const { step } = network();
    const before = device.stats().liveBuffers;
    const replay = plan(step);
    replay.run();
    const during = device.stats().liveBuffers;
    for (let i = 0; i < 50; i++) replay.run();
    expect(device.stats().liveBuffers).toBe(during);
    replay.dispose();
    replay.result.dispose();
    expect(device.stats().liveBuffers).toBe(before);
  });

  it('submits a few times however many dispatches there are', () => {
    const x = hashed('x', [4]);
    const replay = plan(() => Array.from({ length: 700 }, (_, i) => i).reduce((y: Tensor, i) => add(y, i), x));
    const before = device.stats();
    replay.run();
    const after = device.stats();
    expect(after.dispatches - before.dispatches).toBe(700);
    expect(after.submits - before.submits).toBeLessThanOrEqual(4);
  });

  it('hands out results that eager ops and other plans can read', async () => {
    const x = hashed('x', [5, 7]);
    const first = plan(() => add(x, 1));
    const second = plan(() => mul(slice(first.result, 0, 1, 3), 2));
    first.run();
    second.run();
    const host = hashedValues('x', 35);
    expect(await second.result.data()).toEqual(host.slice(7, 21).map((value) => 2 * Math.fround(value + 1)));
    expect(await sub(first.result, x).data()).toHaveLength(35);
  });

  it('refuses to read a tensor that was freed since', () => {
    const x = hashed('x', [3, 3]);
    const replay = plan(() => matmul(x, x));
    replay.run();
    x.dispose();
    expect(() => replay.run()).toThrow(
      /^plan: every tensor from outside must still be alive, got a freed one of \d+ bytes/,
    );
    hashed('y', [3, 3]);
    expect(() => replay.run()).toThrow('plan: every tensor from outside');
    replay.dispose();
    expect(() => replay.run()).toThrow('plan: run must come before dispose.');
  });

  it('refuses to read what another plan left behind, once that is gone', () => {
    const first = plan(() => add(hashed('x', [3]), 1));
    const second = plan(() => mul(first.result, 2));
    first.run();
    second.run();
    first.dispose();
    expect(() => second.run()).toThrow('plan: every tensor from outside must still be alive');
    second.dispose();
  });

  it('refuses functions that a replay could not repeat, and leaves the device as it was', async () => {
    const x = hashed('x', [2, 2]);
    expect(() => plan(() => assign(x, [1, 2, 3, 4]))).toThrow('plan: a planned function must not write host values');
    expect(() => plan(() => plan(() => add(x, 1)))).toThrow('plan: a planned function must not make a plan itself.');
    let reading: Promise<unknown> = Promise.resolve();
    plan(() => void (reading = add(x, 1).data()));
    await expect(reading).rejects.toThrow('plan: a planned function must not read from the device.');
    expect(await valuesOf(x)).toEqual(hashedValues('x', 4));
  });
});

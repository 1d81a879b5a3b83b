import { beforeAll, describe, expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { currentDevice } from '../device/current.ts';
import { type Tensor, tensor, zeros } from '../tensor.ts';
import { scope } from '../scope.ts';
import { expectClose, hashed, hashedValues, loadGoldenJson, testDevice } from '../testing/index.ts';
import { add, mul, square, sub, tanh } from './elementwise.ts';
import { allFinite, clipFactor, globalNorm } from './gradient-norm.ts';
import { matmul } from './matmul.ts';
import { adamStep, adamwStep, sgdStep } from './optimizer.ts';
import { mean } from './reduce.ts';

beforeAll(testDevice);

interface Run {
  readonly losses: readonly number[];
  readonly w_norm: number;
  readonly b: readonly number[];
}

const golden = await loadGoldenJson<Record<'adam' | 'adamw' | 'sgd_momentum', Run>>(
  new URL('../../test/golden/optimizers.json', import.meta.url),
);

type Step = (parameters: readonly Tensor[], gradients: readonly Tensor[], step: number) => void;

/** Ten steps on mse(tanh(x W + b), y), as in the reference run. */
async function descend(step: Step): Promise<Run> {
  const [x, y] = [hashed('opt/x', [8, 6]), hashed('opt/y', [8, 5])];
  const parameters = [hashed('opt/w', [6, 5]), hashed('opt/b', [5])] as const;
  for (const parameter of parameters) parameter.requiresGrad = true;
  const losses: Tensor[] = [];
  for (let count = 1; count <= 10; count++) {
    const loss = scope(() => {
      const error = mean(square(sub(tanh(add(matmul(x, parameters[0]), parameters[1])), y)));
      step(parameters, backward(error, parameters), count);
      return error;
    });
    losses.push(loss);
  }
  return {
    losses: await Promise.all(losses.map((loss) => loss.item())),
    w_norm: await globalNorm([parameters[0]]).item(),
    b: [...(await parameters[1].data())],
  };
}

/** Losses are compared to 1e-6: ten f32 steps round a few times 6e-8 each. */
async function expectRun(got: Run, want: Run): Promise<void> {
  await expectClose(got.losses, want.losses, 1e-6);
  await expectClose([got.w_norm, ...got.b], [want.w_norm, ...want.b], 1e-6);
}

const adamStepper = (
  run: typeof adamStep,
  options: { betas: readonly [number, number]; weightDecay: number },
): Step => {
  const moments = [[6, 5], [5]].map((shape) => ({ first: zeros(shape), second: zeros(shape) }));
  return (parameters, gradients, step) =>
    run(
      parameters.map((parameter, i) => ({ parameter, gradient: gradients[i]!, ...moments[i]! })),
      { learningRate: 0.01, step, ...options },
    );
};

describe('optimiser steps', () => {
  it('Adam follows the reference', async () => {
    await expectRun(await descend(adamStepper(adamStep, { betas: [0.9, 0.999], weightDecay: 0 })), golden.adam);
  });

  it('AdamW follows the reference', async () => {
    await expectRun(await descend(adamStepper(adamwStep, { betas: [0.9, 0.95], weightDecay: 0.05 })), golden.adamw);
  });

  it('SGD with momentum follows the reference', async () => {
    const velocities = [zeros([6, 5]), zeros([5])];
    const step: Step = (parameters, gradients) =>
      sgdStep(
        parameters.map((parameter, i) => ({ parameter, gradient: gradients[i]!, velocity: velocities[i]! })),
        { learningRate: 0.01, momentum: 0.9 },
      );
    await expectRun(await descend(step), golden.sgd_momentum);
  });

  it('Adam adds weight decay to the gradient, SGD looks ahead with Nesterov', async () => {
    const slot = { parameter: tensor([2], [1]), gradient: tensor([-0.2], [1]), first: zeros([1]), second: zeros([1]) };
    adamStep([slot], { learningRate: 0.5, step: 1, weightDecay: 0.1 });
    await expectClose(slot.parameter, [2], 0);
    const sgd = { parameter: tensor([1], [1]), gradient: tensor([1], [1]), velocity: tensor([2], [1]) };
    sgdStep([sgd], { learningRate: 0.1, momentum: 0.5, nesterov: true });
    await expectClose(sgd.parameter, [1 - 0.1 * (1 + 0.5 * 2)], 1e-7);
  });

  it('multiply gradients by a factor on the device, and do nothing where a flag is 0', async () => {
    const slot = (): { parameter: Tensor; gradient: Tensor; velocity: Tensor } => ({
      parameter: tensor([1, 2, 3, 4, 5], [5]),
      gradient: tensor([1, 1, 1, 1, 1], [5]),
      velocity: zeros([5]),
    });
    const [clipped, still] = [slot(), slot()];
    sgdStep([clipped], { learningRate: 1, factor: tensor([0.5], []), onlyIf: tensor([1], [], { dtype: 'bool' }) });
    sgdStep([still], { learningRate: 1, onlyIf: tensor([0], [], { dtype: 'bool' }) });
    await expectClose(clipped.parameter, [0.5, 1.5, 2.5, 3.5, 4.5], 0);
    await expectClose(still.parameter, [1, 2, 3, 4, 5], 0);
    await expectClose(still.velocity, [0, 0, 0, 0, 0], 0);
  });

  it('refuse a step number of 0 and shapes that differ', () => {
    const slot = { parameter: zeros([2]), gradient: zeros([3]), first: zeros([2]), second: zeros([2]) };
    expect(() => adamwStep([slot], { learningRate: 1, step: 0 })).toThrow('adamwStep: step must count from 1, got 0.');
    expect(() => adamwStep([slot], { learningRate: 1, step: 1 })).toThrow(
      "adamwStep: gradient must have the parameter's shape [2], got [3].",
    );
  });
});

describe('norm of gradients', () => {
  it('is the norm of all elements together, at odd sizes', async () => {
    const sizes = [1, 7, 1025, 40_003];
    const all = sizes.flatMap((size) => [...hashedValues(`g${size}`, size)]);
    const want = Math.sqrt(all.reduce((total, value) => total + value * value, 0));
    await expectClose(globalNorm(sizes.map((size) => hashed(`g${size}`, [size]))), [want], 1e-6);
  });

  it('makes the factor that brings it under a limit', async () => {
    await expectClose(clipFactor(tensor([4], []), 2), [0.5], 1e-6);
    await expectClose(clipFactor(tensor([1], []), 2), [1], 0);
  });

  it.each([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN])(
    'sees that %f is not finite',
    async (bad) => {
      const values = hashedValues('x', 4099);
      values[4098] = bad;
      await expectClose(allFinite([zeros([3]), tensor(values, [4099])]), [0], 0);
    },
  );

  it('calls large values finite', async () => {
    await expectClose(allFinite([zeros([3]), mul(hashed('x', [33]), 3e38)]), [1], 0);
  });

  it('leaves no buffer behind', async () => {
    const x = hashed('x', [9]);
    const before = currentDevice().stats().liveBuffers;
    globalNorm([x]).dispose();
    allFinite([x]).dispose();
    expect(currentDevice().stats().liveBuffers).toBe(before);
  });
});

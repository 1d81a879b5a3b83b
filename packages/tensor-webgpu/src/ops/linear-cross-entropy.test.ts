import { expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { noGrad } from '../autograd/record.ts';
import { scope } from '../scope.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { describeVariants, expectClose, gradcheck, hashed } from '../testing/index.ts';
import { cast } from './cast.ts';
import { equal, mul } from './elementwise.ts';
import { linear } from './linear.ts';
import { linearCrossEntropy } from './linear-cross-entropy.ts';
import { argmax, mean } from './reduce.ts';
import { crossEntropy } from './softmax.ts';

const targetsOf = (R: number, V: number): Tensor =>
  tensor(
    Array.from({ length: R }, (_, r) => (7 * r + 3) % V),
    [R],
    { dtype: 'u32' },
  );

const inputsOf = (R: number, C: number, V: number): [Tensor, Tensor, Tensor] => {
  const inputs: [Tensor, Tensor, Tensor] = [hashed('x', [R, C]), hashed('w', [V, C]), hashed('b', [V])];
  for (const input of inputs) input.requiresGrad = true;
  return inputs;
};

describeVariants('linearCrossEntropy', (device) => {
  it.each([
    [1, 3, 2, 1e9],
    [7, 5, 7, 70],
    [45, 12, 130, 130 * 4 * 8],
    [33, 8, 1025, 1025 * 4 * 10],
    [64, 16, 512, 1],
  ])('equals the plain composition: R %i, C %i, V %i, chunks of %i bytes', async (R, C, V, chunkBytes) => {
    const inputs = inputsOf(R, C, V);
    const [x, weight, bias] = inputs;
    const targets = targetsOf(R, V);
    const options = { labelSmoothing: 0.1, ignoreIndex: 3 };
    const { loss, losses, hits } = linearCrossEntropy(x, weight, { bias, targets, chunkBytes, ...options });
    const logits = linear(x, weight, bias);
    const costs = crossEntropy(logits, targets, options);
    await expectClose(losses, costs, 1e-5);
    await expectClose(loss, mean(costs), 1e-5);
    const counted = Float32Array.from(await targets.data(), (target) => Number(target !== 3));
    await expectClose(hits, mul(cast(equal(argmax(logits), targets), 'f32'), tensor(counted, [R])), 0);
    const [got, want] = [loss, mean(costs)].map((y) => backward(mul(y, 3), inputs));
    for (const [i, gradient] of got!.entries()) await expectClose(gradient, want![i]!, 1e-5);
  });

  it('has the gradients of central differences, with and without bias', async () => {
    const targets = targetsOf(9, 11);
    const inputs = inputsOf(9, 4, 11);
    const chunkBytes = 11 * 4 * 4;
    await gradcheck((x, w, bias) => linearCrossEntropy(x!, w!, { targets, chunkBytes, bias: bias! }).loss, inputs);
    await gradcheck((x, w) => linearCrossEntropy(x!, w!, { targets, chunkBytes }).loss, inputs.slice(0, 2));
  });

  it('takes the lower class of a tie, as argmax does', async () => {
    const [x, weight] = [tensor([1], [1, 1]), tensor([2, 5, 5, 1], [4, 1])];
    for (const [target, hit] of [
      [1, 1],
      [2, 0],
    ] as const) {
      const targets = tensor([target], [1], { dtype: 'u32' });
      await expectClose(linearCrossEntropy(x, weight, { targets }).hits, [hit], 0);
    }
  });

  it('makes no gradients that nobody wants, and holds one chunk of logits at most', async () => {
    const [R, C, V] = [4096, 4, 2048];
    const [x, weight, bias] = inputsOf(R, C, V);
    const targets = targetsOf(R, V);
    const chunkBytes = 2 ** 20;
    device().trim();
    const { peakBytes } = device().stats();
    const loss = scope(() => linearCrossEntropy(x, weight, { bias, targets, chunkBytes }).loss);
    expect(device().stats().peakBytes - peakBytes).toBeLessThan(R * V);
    const { dispatches } = device().stats();
    scope(() => noGrad(() => linearCrossEntropy(x, weight, { targets, chunkBytes: 1e9 }).loss));
    // product, cost, and two passes of the mean
    expect(device().stats().dispatches - dispatches).toBeLessThanOrEqual(4);
    loss.dispose();
  });

  it('refuses inputs that do not fit', () => {
    const [x, weight, bias] = inputsOf(2, 3, 4);
    const targets = targetsOf(2, 4);
    expect(() => linearCrossEntropy(x, hashed('w', [4, 5]), { targets })).toThrow(
      'linearCrossEntropy: weight must be [V, 3], got [4,5].',
    );
    expect(() => linearCrossEntropy(x, weight, { targets, bias: x })).toThrow(
      'linearCrossEntropy: bias must be [4], got [2,3].',
    );
    expect(() => linearCrossEntropy(x, weight, { bias, targets: bias })).toThrow(
      'linearCrossEntropy: targets must be u32 [2], got f32 [4].',
    );
  });
});

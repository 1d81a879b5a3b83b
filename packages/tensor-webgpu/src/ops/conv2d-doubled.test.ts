import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { currentDevice } from '../device/current.ts';
import { plan } from '../device/plan.ts';
import { scope } from '../scope.ts';
import { expectClose, gradcheck, hashed, relativeError, testDevice, valuesOf } from '../testing/index.ts';
import type { Tensor } from '../tensor.ts';
import { conv2d, type Conv2dOptions } from './conv2d.ts';
import { mul } from './elementwise.ts';
import { gemmBackends, gemmCandidates, type GemmPlan, overrideGemm } from './gemm-plan.ts';
import { withPrecision } from './precision.ts';
import { sum } from './reduce.ts';
import { upsampleNearest } from './resize.ts';

await testDevice();
beforeAll(testDevice);
afterEach(() => overrideGemm(undefined));

/** Every product by the first candidate of a back end that it has, matrices being for halves only. */
const force = (backend: string, changes: Partial<GemmPlan> = {}): void =>
  overrideGemm((problem, device) => {
    const candidates = gemmCandidates(problem, device);
    return { ...(candidates.find(({ tile }) => tile.backend === backend) ?? candidates[0]!), ...changes };
  });

type Operands = readonly [x: Tensor, weight: Tensor, bias: Tensor];

const operands = (
  x: readonly [number, number, number, number],
  O: number,
  kernel = 3,
): [x: Tensor, weight: Tensor, bias: Tensor] => {
  const all = [hashed('x', x), hashed('w', [O, x[3], kernel, kernel]), hashed('b', [O])] as const;
  return all.map((one) => Object.assign(one, { requiresGrad: true })) as [Tensor, Tensor, Tensor];
};

const folded = ([x, weight, bias]: Operands, options: Conv2dOptions = { padding: 1 }): Tensor =>
  conv2d(x, weight, { bias, ...options, upsample: 2 });
const enlarged = ([x, weight, bias]: Operands, options: Conv2dOptions = { padding: 1 }): Tensor =>
  conv2d(upsampleNearest(x), weight, { bias, ...options });

/** The result, then the gradients of x, weight and bias. */
function outputsOf(run: (all: Operands) => Tensor, all: Operands): Tensor[] {
  const y = run(all);
  return [y, ...backward(sum(mul(y, hashed('upstream', y.shape))), all)];
}

const outcome = (run: (all: Operands) => Tensor, all: Operands): Promise<Float32Array[]> =>
  Promise.all(scope(() => outputsOf(run, all)).map(valuesOf));

async function expectSame(all: Operands, tolerance: number): Promise<void> {
  const [got, want] = [await outcome(folded, all), await outcome(enlarged, all)];
  for (const [i, values] of got.entries())
    expect(relativeError(values, want[i]!), ['y', 'dx', 'dw', 'db'][i]).toBeLessThan(tolerance);
}

describe.each(gemmBackends(currentDevice()))('a convolution of a doubled picture by the %s back end', (backend) => {
  it.each([
    [[1, 1, 1, 4], 4],
    [[2, 5, 3, 8], 12],
    [[1, 7, 9, 36], 20],
    [[3, 4, 6, 8], 64],
  ] as const)('is that of the enlarged picture, with its gradients: %j to %i channels', async (shape, O) => {
    force(backend);
    // sums of taps are rounded once more, and added in another order
    await expectSame(operands(shape, O), 1e-6);
  });

  it('sums parts of K apart', async () => {
    force(backend, { parts: 2 });
    await expectSame(operands([2, 5, 3, 8], 12), 1e-6);
  });

  it('takes halves', async () => {
    force(backend);
    const all = operands([2, 5, 3, 8], 12);
    const half = withPrecision('f16', () => folded(all));
    expect(half.dtype).toBe('f16');
    await expectClose(half, await valuesOf(enlarged(all)), 2e-3);
  });
});

describe('conv2d with upsample', () => {
  it('has numerical gradients', async () => {
    await gradcheck((x, w, b) => folded([x!, w!, b!]), operands([2, 3, 2, 4], 8));
  });

  it('never makes the enlarged picture', () => {
    const all = operands([1, 16, 16, 8], 8);
    const bytesOf = (run: (given: Operands) => Tensor): number => {
      const planned = plan(() => outputsOf(run, all));
      planned.dispose();
      return planned.size.bytes;
    };
    // sums of the weight's taps take a little of it
    expect(bytesOf(enlarged) - bytesOf(folded)).toBeGreaterThan(0.9 * 4 * all[0].size * 4);
  });

  it.each<[string, readonly [number, number, number, number], number, number, Conv2dOptions]>([
    ['five output channels', [1, 3, 4, 8], 5, 3, { padding: 1 }],
    ['a wider window', [1, 3, 4, 4], 4, 5, { padding: 2 }],
    ['steps of two', [1, 3, 4, 4], 4, 3, { padding: [0, 1, 1, 0], stride: 2 }],
    ['a pointwise window', [1, 3, 4, 4], 4, 1, {}],
  ])('takes %s', async (_, shape, O, kernel, options) => {
    const all = operands(shape, O, kernel);
    const got = await outcome((given) => folded(given, options), all);
    const want = await outcome((given) => enlarged(given, options), all);
    for (const [i, values] of got.entries()) expect(relativeError(values, want[i]!)).toBeLessThan(1e-6);
  });

  it('takes channels that are no whole vectors', async () => {
    await gradcheck((x, w, b) => folded([x!, w!, b!]), operands([1, 3, 2, 3], 8));
    await gradcheck((x, w, b) => folded([x!, w!, b!], { padding: 0 }), operands([1, 3, 2, 3], 2));
  });

  it('ends with relu', async () => {
    const all = operands([1, 3, 4, 8], 8);
    const want = (await valuesOf(enlarged(all))).map((value) => Math.max(0, value));
    await expectClose(folded(all, { padding: 1, activation: 'relu' }), want, 1e-6);
  });
});

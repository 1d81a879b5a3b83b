import { beforeAll, describe, expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { currentDevice } from '../device/current.ts';
import { loadTensors, snapshot } from '../io/device-tensors.ts';
import { hostFloats, type HostTensor } from '../io/host-tensor.ts';
import { storedTensor } from '../io/stored-tensor.ts';
import { scope } from '../scope.ts';
import { type Tensor, tensor, zeros } from '../tensor.ts';
import { expectClose, hashed, hashedValues, testDevice } from '../testing/index.ts';
import { mul } from './elementwise.ts';
import { LossScale } from './loss-scale.ts';
import { MultiAdamW, type MultiAdamWOptions } from './multi-adam.ts';
import { sum } from './reduce.ts';

beforeAll(testDevice);

/** More tensors than one dispatch binds, of whole and broken vectors, one of several blocks. */
const sizes = [1, 7, 1025, 256, 3, 20_003, 4, 64, 9, 8192, 2, 5, 30];
const betas = [0.9, 0.95] as const;

interface Numbers {
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
}

/** The same steps in float64, as PyTorch's AdamW with clip_grad_norm_ and GradScaler takes them. */
class Reference {
  readonly values: number[][];
  private readonly first: number[][];
  private readonly second: number[][];

  constructor(values: readonly ArrayLike<number>[]) {
    this.values = values.map((v) => Array.from(v));
    this.first = this.values.map((v) => v.map(() => 0));
    this.second = this.values.map((v) => v.map(() => 0));
  }

  step(
    gradients: readonly ArrayLike<number>[],
    step: number,
    { learningRate, weightDecay, clipNorm }: Numbers,
  ): number {
    const norm = Math.sqrt(gradients.flatMap((g) => Array.from(g)).reduce((total, g) => total + g * g, 0));
    if (!Number.isFinite(norm)) return norm;
    const factor = Math.min(1, clipNorm / (norm + 1e-6));
    this.values.forEach((values, t) => {
      const decay = t % 2 ? 1 - learningRate * weightDecay : 1;
      for (let i = 0; i < values.length; i++) {
        const g = gradients[t]![i]! * factor;
        const m = (this.first[t]![i] = betas[0] * this.first[t]![i]! + (1 - betas[0]) * g);
        const v = (this.second[t]![i] = betas[1] * this.second[t]![i]! + (1 - betas[1]) * g * g);
        const spread = Math.sqrt(v / (1 - betas[1] ** step)) + 1e-8;
        values[i] = values[i]! * decay - (learningRate * m) / (1 - betas[0] ** step) / spread;
      }
    });
    return norm;
  }
}

const startValues = (): Float32Array[] => sizes.map((size, t) => hashedValues(`p${t}`, size));
const gradientValues = (step: number): Float32Array[] =>
  sizes.map((size, t) => hashedValues(`g${t}/${step}`, size, 0.3));
const upload = (all: readonly Float32Array[]): Tensor[] => all.map((values) => tensor(values, [values.length]));
const optimizerOf = (
  parameters: readonly Tensor[],
  options: Pick<MultiAdamWOptions, 'lossScale' | 'averageDecay'> = {},
): MultiAdamW =>
  new MultiAdamW(
    parameters.map((parameter, t) => ({ parameter, decayed: t % 2 === 1 })),
    { betas, ...options },
  );

/** What an optimiser keeps, on the host by name, as a checkpoint has it. */
async function keptOf(optimizer: MultiAdamW): Promise<Map<string, HostTensor>> {
  const named = namedMoments(optimizer);
  const copies = snapshot([...named.values()]);
  const kept = new Map<string, HostTensor>();
  for (const name of named.keys()) kept.set(name, (await copies.next()).value as HostTensor);
  return kept;
}

const namedMoments = (optimizer: MultiAdamW): Map<string, Tensor> =>
  new Map(
    optimizer.moments.flatMap((some, t) =>
      Object.entries(some).map(([kind, one]: [string, Tensor]) => [kind + t, one]),
    ),
  );

const loadKept = (optimizer: MultiAdamW, kept: ReadonlyMap<string, HostTensor>): Promise<void> =>
  loadTensors(namedMoments(optimizer), new Map([...kept].map(([name, one]) => [name, storedTensor(one)])));

describe('MultiAdamW', () => {
  it('follows the plain steps, with a changing rate, decay where asked, and clipping', async () => {
    const parameters = upload(startValues());
    const optimizer = optimizerOf(parameters);
    const reference = new Reference(startValues());
    for (let step = 1; step <= 5; step++) {
      const numbers = { learningRate: 0.01 * step, weightDecay: 0.1, clipNorm: step % 2 ? 1 : 100 };
      const want = reference.step(gradientValues(step), step, numbers);
      await expectClose(optimizer.step(upload(gradientValues(step)), { ...numbers, step }), [want], 1e-6);
    }
    // five f32 steps round a few times 6e-8 each
    for (const [t, parameter] of parameters.entries()) await expectClose(parameter, reference.values[t]!, 2e-6);
    optimizer.dispose();
  });

  it('changes nothing at a gradient that is not finite, or whose square is not', async () => {
    const parameters = upload(startValues());
    const optimizer = optimizerOf(parameters);
    const numbers = { learningRate: 0.1, weightDecay: 0.1, clipNorm: 1 };
    for (const [step, fault] of [Number.POSITIVE_INFINITY, Number.NaN, 1e30].entries()) {
      const gradients = gradientValues(1);
      gradients.at(-1)![29] = fault;
      optimizer.step(upload(gradients), { ...numbers, step: step + 1 });
    }
    for (const [t, parameter] of parameters.entries())
      await expectClose(parameter, hashedValues(`p${t}`, sizes[t]!), 0);
    for (const { bytes } of (await keptOf(optimizer)).values()) expect(bytes.every((byte) => byte === 0)).toBe(true);
    optimizer.dispose();
  });

  it('goes on from saved moments bit for bit, in few dispatches, with level buffers', async () => {
    const [whole, broken] = [upload(startValues()), upload(startValues())];
    const [one, before, after] = [optimizerOf(whole), optimizerOf(broken), optimizerOf(broken)];
    const numbers = { learningRate: 0.01, weightDecay: 0.1, clipNorm: 1 };
    const gradients = [1, 2].map((step) => upload(gradientValues(step)));
    one.step(gradients[0]!, { ...numbers, step: 1 }).dispose();
    const { liveBuffers, dispatches } = currentDevice().stats();
    one.step(gradients[1]!, { ...numbers, step: 2 }).dispose();
    expect(currentDevice().stats().liveBuffers).toBe(liveBuffers);
    expect(currentDevice().stats().dispatches - dispatches).toBeLessThan(sizes.length);
    before.step(gradients[0]!, { ...numbers, step: 1 });
    await loadKept(after, await keptOf(before));
    after.step(gradients[1]!, { ...numbers, step: 2 });
    for (const [t, parameter] of whole.entries()) await expectClose(broken[t]!, parameter, 0);
    for (const optimizer of [one, before, after]) optimizer.dispose();
  });

  it('refuses half parameters, missing gradients and a step of 0', () => {
    expect(() => new MultiAdamW([{ parameter: zeros([2], { dtype: 'f16' }), decayed: true }])).toThrow(
      'MultiAdamW: parameters must be packed f32 tensors, got f16 with strides [1].',
    );
    const optimizer = new MultiAdamW([{ parameter: zeros([2]), decayed: true }]);
    const numbers = { learningRate: 1, weightDecay: 0, clipNorm: 1, step: 1 };
    expect(() => optimizer.step([zeros([3])], numbers)).toThrow('MultiAdamW: gradient must be f32 [2], got f32 [3].');
    expect(() => optimizer.step([], numbers)).toThrow(
      'MultiAdamW: gradient must be f32 [2], got undefined [undefined].',
    );
    expect(() => optimizer.step([zeros([2])], { ...numbers, step: 0 })).toThrow(
      'MultiAdamW: step must count from 1, got 0.',
    );
    optimizer.dispose();
  });
});

describe('averages of MultiAdamW', () => {
  const numbers = { learningRate: 0.05, weightDecay: 0.1, clipNorm: 1 };

  it('follow the rule, decay by decay, and are exchanged with the parameters and back', async () => {
    const [averaged, plain] = [upload(startValues()), upload(startValues())];
    const optimizer = optimizerOf(averaged, { averageDecay: 0.3 });
    const without = optimizerOf(plain);
    const averages = startValues().map((values) => Array.from(values));
    for (let step = 1; step <= 6; step++) {
      for (const one of [optimizer, without]) one.step(upload(gradientValues(step)), { ...numbers, step });
      // 2/11, 3/12, then the decay itself
      const decay = Math.min(0.3, (1 + step) / (10 + step));
      for (const [t, average] of averages.entries()) {
        const now = await plain[t]!.data();
        now.forEach((value, i) => (average[i] = average[i]! * decay + value * (1 - decay)));
      }
    }
    for (const [t, parameter] of averaged.entries()) await expectClose(parameter, plain[t]!, 0);
    optimizer.swapAverages();
    for (const [t, parameter] of averaged.entries()) await expectClose(parameter, averages[t]!, 1e-6);
    optimizer.swapAverages();
    for (const [t, parameter] of averaged.entries()) await expectClose(parameter, plain[t]!, 0);
    for (const one of [optimizer, without]) one.dispose();
  });

  it('are left alone by a step whose gradients are not finite', async () => {
    const parameters = upload(startValues());
    const optimizer = optimizerOf(parameters, { averageDecay: 0.9 });
    optimizer.step(upload(gradientValues(1)), { ...numbers, step: 1 });
    const before = await keptOf(optimizer);
    const broken = gradientValues(2);
    broken[3]![5] = Number.NaN;
    optimizer.step(upload(broken), { ...numbers, step: 2 });
    expect(await keptOf(optimizer)).toEqual(before);
    optimizer.dispose();
  });

  it('go on bit for bit from what was kept, and from the parameters where nothing was', async () => {
    const [whole, broken] = [upload(startValues()), upload(startValues())];
    const one = optimizerOf(whole, { averageDecay: 0.9 });
    const [before, after] = [1, 2].map(() => optimizerOf(broken, { averageDecay: 0.9 })) as [MultiAdamW, MultiAdamW];
    for (const step of [1, 2]) one.step(upload(gradientValues(step)), { ...numbers, step });
    before.step(upload(gradientValues(1)), { ...numbers, step: 1 });
    await loadKept(after, await keptOf(before));
    after.step(upload(gradientValues(2)), { ...numbers, step: 2 });
    expect(await keptOf(after)).toEqual(await keptOf(one));
    after.startAverages();
    const started = await keptOf(after);
    for (const [t, parameter] of broken.entries())
      expect(hostFloats(started.get(`average${t}`)!)).toEqual(await parameter.data());
    for (const optimizer of [one, before, after]) optimizer.dispose();
  });

  it('refuse a decay of 1', () => {
    expect(() => optimizerOf([zeros([2])], { averageDecay: 1 })).toThrow(
      'MultiAdamW: averageDecay must be from 0 to below 1, got 1.',
    );
  });
});

/** The rule in plain code: double after `growth` finite steps in a row, halve at a fault. */
function scaleAfter(faults: readonly boolean[], growth: number): { scale: number; finiteSteps: number } {
  let [scale, finiteSteps] = [2 ** 11, 0];
  for (const fault of faults) {
    finiteSteps = fault ? 0 : finiteSteps + 1;
    if (fault) scale = Math.max(1, scale / 2);
    else if (finiteSteps === growth) [scale, finiteSteps] = [Math.min(2 ** 15, scale * 2), 0];
  }
  return { scale, finiteSteps };
}

describe('LossScale', () => {
  const run = (faults: readonly boolean[], lossScale: LossScale): Tensor => {
    const parameter = tensor([1, 2, 3], [3]);
    const optimizer = new MultiAdamW([{ parameter, decayed: false }], { lossScale });
    const numbers = { learningRate: 0.01, weightDecay: 0, clipNorm: 1 };
    faults.forEach((fault, i) => {
      const gradient = tensor([1, fault ? Number.POSITIVE_INFINITY : 2, 3], [3]);
      optimizer.step([gradient], { ...numbers, step: i + 1 }).dispose();
      gradient.dispose();
    });
    optimizer.dispose();
    return parameter;
  };

  it.each([
    ['finite steps up to the cap', 3, Array.from({ length: 25 }, () => false)],
    ['faults down to 1', 3, Array.from({ length: 14 }, () => true)],
    ['faults that break rows', 3, Array.from({ length: 40 }, (_, i) => i % 7 === 3 || i % 11 === 5)],
    ['the published growth', 1000, Array.from({ length: 1003 }, (_, i) => i === 1)],
  ])('follows the rule over %s', async (_, growth, faults) => {
    const lossScale = new LossScale({ growth });
    run(faults, lossScale).dispose();
    expect(await lossScale.read()).toEqual(scaleAfter(faults, growth));
    lossScale.dispose();
  });

  it('comes back as it was saved', async () => {
    const faults = [false, false, true, false, false, false, false];
    const [whole, broken] = [new LossScale({ growth: 3 }), new LossScale({ growth: 3 })];
    run(faults, whole);
    run(faults.slice(0, 5), broken);
    const restored = new LossScale({ growth: 3 });
    restored.load(await broken.read());
    run(faults.slice(5), restored);
    expect(await restored.read()).toEqual(await whole.read());
  });

  it('cancels out of the step: scaled gradients give the unscaled norm and the same parameters', async () => {
    const [a, b] = [hashed('p', [9]), hashed('p', [9])];
    for (const parameter of [a, b]) parameter.requiresGrad = true;
    const lossScale = new LossScale();
    const [plain, scaled] = [optimizerOf([a]), optimizerOf([b], { lossScale })];
    const numbers = { learningRate: 0.1, weightDecay: 0, clipNorm: 1, step: 1 };
    const lossOf = (p: Tensor): Tensor => sum(mul(p, mul(p, p)));
    const norms = [
      scope(() => plain.step(backward(lossOf(a), [a]), numbers)),
      scope(() => scaled.step(backward(lossOf(b), [b], lossScale.factor()), numbers)),
    ] as const;
    // a power of two scales without rounding
    await expectClose(norms[1], norms[0], 1e-7);
    await expectClose(b, a, 1e-7);
  });
});

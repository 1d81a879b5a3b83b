import { beforeAll, describe, expect, it } from 'vitest';
import { add, gelu, mul } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { sum } from '../ops/reduce.ts';
import { scope } from '../scope.ts';
import { backward } from '../autograd/backward.ts';
import { assign, type Tensor } from '../tensor.ts';
import { expectClose, gradcheck, hashed, hashedValues, relativeError, testDevice, valuesOf } from '../testing/index.ts';
import { hostTensor } from '../io/host-tensor.ts';
import { hostRandom } from './host-random.ts';
import { initFanIn } from './init.ts';
import { Linear, trainableTensors } from './linear.ts';
import { LowRank } from './low-rank.ts';

beforeAll(testDevice);

const [I, O, rank] = [9, 7, 3];

/** A layer with an adapter that has learnt something. */
function adapted(): { layer: Linear; adapter: LowRank } {
  const layer = new Linear({ in: I, out: O, init: initFanIn(hostRandom(1), I) });
  layer.adapter = new LowRank({ in: I, out: O, rank, scale: 0.5, init: initFanIn(hostRandom(2), I) });
  layer.adapter.load(
    new Map([
      ['lora_A.weight', hostTensor(hashedValues('a', rank * I), [rank, I])],
      ['lora_B.weight', hostTensor(hashedValues('b', O * rank), [O, rank])],
    ]),
  );
  return { layer, adapter: layer.adapter };
}

/** Compares gradients of parameters with slopes along a random direction. */
async function gradcheckInPlace(run: () => Tensor, parameters: readonly Tensor[]): Promise<void> {
  const loss = (): Tensor => sum(mul(run(), hashed('weights', run().shape)));
  const gradients = scope(() => backward(loss(), parameters));
  for (const [i, parameter] of parameters.entries()) {
    const before = Float32Array.from(await parameter.data());
    const direction = hashedValues(`direction ${i}`, parameter.size);
    const at = async (eps: number): Promise<number> => {
      assign(
        parameter,
        before.map((value, k) => value + eps * direction[k]!),
      );
      return scope(loss).item();
    };
    const slope = ((await at(1e-2)) - (await at(-1e-2))) / 2e-2;
    assign(parameter, before);
    const found = (await gradients[i]!.data()).reduce((total, g, k) => total + g * direction[k]!, 0);
    expect(Math.abs(found / slope - 1), `parameter ${i}`).toBeLessThan(5e-3);
  }
}

describe('a low-rank adapter', () => {
  const x = (): Tensor => hashed('x', [2, 5, I]);

  it('changes nothing before it learns', async () => {
    const layer = new Linear({ in: I, out: O, init: initFanIn(hostRandom(1), I) });
    const before = await valuesOf(layer.forward(x(), { activation: 'gelu' }));
    layer.adapter = new LowRank({ in: I, out: O, rank, scale: 2, init: initFanIn(hostRandom(2), I) });
    expect(relativeError(await valuesOf(layer.forward(x(), { activation: 'gelu' })), before)).toBeLessThan(1e-6);
  });

  it('adds scale B (A x), before the activation, under the gate and beside the residual', async () => {
    const { layer } = adapted();
    const [a, b] = [hashed('a', [rank, I]), hashed('b', [O, rank])];
    const both = add(linear(x(), layer.weight, layer.bias), mul(linear(linear(x(), a), b), 0.5));
    await expectClose(layer.forward(x()), both, 1e-6);
    await expectClose(layer.forward(x(), { activation: 'gelu' }), gelu(both), 1e-6);
    const [gate, residual] = [hashed('gate', [2, 1, O]), hashed('residual', [2, 5, O])];
    await expectClose(layer.forward(x(), { gate, residual }), add(residual, mul(both, gate)), 1e-6);
    expect(() => layer.forward(x(), { activation: 'gelu', residual })).toThrow(
      'LowRank: an adapted layer must end in an activation, or in gate and residual, got gelu with both.',
    );
  });

  it('has numerical gradients of the input and of its own weights, and none of the layer’s', async () => {
    const { layer, adapter } = adapted();
    layer.freeze();
    const own = [...adapter.namedParameters().values()];
    expect(trainableTensors(layer).every((tensor, i) => tensor === own[i])).toBe(true);
    expect(trainableTensors(layer)).toHaveLength(2);
    // gradients of its weights are taken where they are, those of the input from outside
    for (const finish of [{ activation: 'gelu' }, { residual: hashed('residual', [2, 5, O]) }] as const) {
      await gradcheck((p) => layer.forward(p!, finish), [x()]);
      await gradcheckInPlace(() => layer.forward(x(), finish), own);
    }
  });

  it('merged, gives what it gave apart, within rounding', async () => {
    const { layer } = adapted();
    const apart = await valuesOf(layer.forward(x()));
    layer.merge();
    expect(layer.adapter).toBeUndefined();
    expect(relativeError(await valuesOf(layer.forward(x())), apart)).toBeLessThan(1e-6);
  });
});

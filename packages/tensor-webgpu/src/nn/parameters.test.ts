import { beforeAll, describe, expect, it } from 'vitest';
import { hostTensor } from '../io/host-tensor.ts';
import { testDevice } from '../testing/test-device.ts';
import { hostRandom } from './host-random.ts';
import { type Init, initConstant, initNormal, initScaled, initTruncatedNormal, initUniform } from './init.ts';
import { Linear } from './linear.ts';
import { makeParameter, withParameters } from './parameters.ts';

beforeAll(async () => {
  await testDevice();
});

const random = hostRandom(1);
const drawn = (init: Init, seed: number, shape = [300, 101]): Promise<Float32Array> =>
  withParameters({ values: { seed } }, () => makeParameter('weight', shape, init).data());

const moments = (values: Float32Array): { mean: number; std: number; most: number } => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, std: Math.sqrt(variance), most: values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) };
};

describe('parameters drawn on the device', () => {
  // 30,300 numbers: means lie within 4 std / 174, standard deviations within 2 %
  it.each([
    ['normal', initNormal(random, 0.02), 0.02, 0.13],
    ['normal, cut off far outside', initTruncatedNormal(random, 0.1), 0.1, 0.6],
    ['normal, scaled', initScaled(initNormal(random, 0.1), 0.25), 0.025, 0.16],
    ['normal, cut off where numbers lie, which the host draws again', initTruncatedNormal(random, 1, 2), 0.88, 2],
    ['uniform', initUniform(random, 0.3), 0.3 / Math.sqrt(3), 0.3],
  ] as const)('follow the law of the initial values: %s', async (_, init, std, most) => {
    const found = moments(await drawn(init, 7));
    expect(Math.abs(found.mean)).toBeLessThan((4 * std) / 174);
    expect(Math.abs(found.std / std - 1)).toBeLessThan(0.02);
    expect(found.most).toBeLessThanOrEqual(most);
  });

  it('hold constants, also scaled', async () => {
    expect([...(await drawn(initScaled(initConstant(1.5), 2), 0, [2, 3]))]).toEqual([3, 3, 3, 3, 3, 3]);
  });

  it('depend on the seed and on their place among the others', async () => {
    const model = (seed: number): Linear =>
      withParameters(
        { values: { seed } },
        () => new Linear({ in: 5, out: 7, init: initNormal(random, 1), biasInit: initNormal(random, 1) }),
      );
    const [first, again, other] = [model(1), model(1), model(2)];
    expect([...(await again.weight.data())]).toEqual([...(await first.weight.data())]);
    expect([...(await other.weight.data())]).not.toEqual([...(await first.weight.data())]);
    expect([...(await first.weight.data())].slice(0, 7)).not.toEqual([...(await first.bias!.data())]);
    for (const one of [first, again, other]) one.dispose();
  });
});

describe('parameters of another type', () => {
  const model = (): Linear =>
    withParameters({ dtype: 'f16' }, () => new Linear({ in: 2, out: 3, init: initConstant(0.1) }));

  it('are halves for matrices only', () => {
    const halves = model();
    expect([halves.weight.dtype, halves.bias!.dtype]).toEqual(['f16', 'f32']);
    halves.dispose();
  });

  it('nest: what is left out stays as it is around', () => {
    const inner = withParameters({ values: 'none' }, () => model());
    const outer = withParameters({ dtype: 'f16' }, () =>
      withParameters({ dtype: 'f32' }, () => new Linear({ in: 2, out: 3, init: initConstant(0.1) })),
    );
    expect([inner.weight.dtype, outer.weight.dtype]).toEqual(['f16', 'f32']);
    for (const one of [inner, outer]) one.dispose();
  });

  it('load weights of either type, rounded to the nearest', async () => {
    const [values, halves] = [Float32Array.of(0.1, -2, 3, 1e-3, 0, 65_504), model()];
    const bias = hostTensor(Float32Array.of(0.1, 0.2, 0.3), [3]);
    for (const dtype of ['F32', 'F16'] as const) {
      halves.load(
        new Map([
          ['weight', hostTensor(values, [3, 2], dtype)],
          ['bias', bias],
        ]),
      );
      const read = await halves.weight.data();
      for (const [i, value] of values.entries())
        expect(Math.abs(read[i]! - value)).toBeLessThan(Math.abs(value) / 2048 + 1e-7);
      expect([...(await halves.bias!.data())]).toEqual([...Float32Array.of(0.1, 0.2, 0.3)]);
    }
    halves.dispose();
  });
});

describe('parameters without values', () => {
  it('take no time on the host: nothing is drawn', () => {
    const init = Object.assign(
      () => {
        throw new Error('drawn');
      },
      { law: { kind: 'constant', value: 0 } as const },
    );
    const empty = withParameters({ values: 'none' }, () => new Linear({ in: 2, out: 3, init, bias: false }));
    expect(empty.weight.shape).toEqual([3, 2]);
    expect(() => new Linear({ in: 2, out: 3, init })).toThrow('drawn');
    empty.dispose();
  });
});

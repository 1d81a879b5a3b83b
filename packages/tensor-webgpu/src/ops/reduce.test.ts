import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, gradcheck, testDevice } from '../testing/index.ts';
import { tensor } from '../tensor.ts';
import { argmax, argmin, max, mean, min, sum } from './reduce.ts';
import { permute } from './view.ts';

beforeAll(testDevice);

const ramp = (count: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i * 1.7) * 3 + 0.5);

/** Groups of flat indices that an axis set reduces together, by output position. */
function groups(shape: number[], axes: number[]): number[][] {
  const out = new Map<string, number[]>();
  const count = shape.reduce((p, s) => p * s, 1);
  for (let flat = 0; flat < count; flat++) {
    let rest = flat;
    const at = shape
      .map((_, i) => shape.length - 1 - i)
      .map((axis) => [axis, rest % shape[axis]!, (rest = Math.floor(rest / shape[axis]!))] as const);
    const key = at
      .filter(([axis]) => !axes.includes(axis))
      .map(([, i]) => i)
      .reverse()
      .join();
    out.set(key, [...(out.get(key) ?? []), flat]);
  }
  return [...out.values()];
}

describe('reductions', () => {
  const cases: [string, number[], number[]][] = [
    ['all axes', [3, 5], [0, 1]],
    ['the last axis', [2, 3, 33], [2]],
    ['the first axis', [65, 3], [0]],
    ['a middle axis', [2, 7, 5], [1]],
    ['outer and inner axes', [3, 4, 5], [0, 2]],
    ['a long row', [2, 4099], [1]],
    ['a long row that is cut in two', [2, 4096], [1]],
    ['a long column', [4100, 3], [0]],
  ];
  it.each(cases)('sum, mean, max and min over %s', async (_, shape, axes) => {
    const values = ramp(shape.reduce((p, s) => p * s, 1));
    const x = tensor(values, shape);
    const sets = groups(shape, axes).map((set) => set.map((i) => values[i]!));
    await expectClose(
      sum(x, { axis: axes }),
      sets.map((set) => set.reduce((s, v) => s + v, 0)),
      1e-5,
    );
    await expectClose(
      mean(x, { axis: axes }),
      sets.map((set) => set.reduce((s, v) => s + v, 0) / set.length),
      1e-5,
    );
    await expectClose(
      max(x, { axis: axes }),
      sets.map((set) => Math.max(...set)),
      1e-6,
    );
    await expectClose(
      min(x, { axis: axes }),
      sets.map((set) => Math.min(...set)),
      1e-6,
    );
  });

  it('have numerical gradients, with kept sides and non-contiguous input', async () => {
    const x = tensor(ramp(30), [2, 3, 5]);
    await gradcheck((p) => sum(p!, { axis: 1, keepDim: true }), [x]);
    await gradcheck((p) => mean(permute(p!, [2, 0, 1]), { axis: [0, 2] }), [x]);
    await gradcheck((p) => max(p!, { axis: -1 }), [x]);
    await gradcheck((p) => min(p!), [x]);
  });

  it('argmax and argmin give the first of equals', async () => {
    const x = tensor([1, 7, 7, 0, 0, 3, -5, -5, -5, 2, 2, 1], [4, 3]);
    expect([...(await argmax(x).data())]).toEqual([1, 2, 0, 0]);
    expect([...(await argmin(x).data())]).toEqual([0, 0, 0, 2]);
    const long = ramp(2000).map((v, i) => (i === 1203 ? 99 : v));
    expect(await argmax(tensor(long, [1, 2000])).item()).toBe(1203);
  });

  it('refuse an axis out of range', () => {
    expect(() => sum(tensor([1], [1]), { axis: 1 })).toThrow('sum: axis must lie in -1..0, got 1.');
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, gradcheck, testDevice } from '../testing/index.ts';
import { tensor } from '../tensor.ts';
import { mul } from './elementwise.ts';
import { expand } from './expand.ts';
import { clone, concat, contiguous, detach, permute, reshape, slice, stack, writeSlice, transpose } from './view.ts';

beforeAll(testDevice);

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

describe('views', () => {
  it('permute, slice and expand share memory; contiguous packs them', async () => {
    const x = tensor(count(24), [2, 3, 4]);
    const y = permute(x, [2, 0, 1]);
    expect(y.storage).toBe(x.storage);
    expect(y.shape).toEqual([4, 2, 3]);
    await expectClose(
      contiguous(y),
      count(24).map((i) => Math.floor((i % 6) / 3) * 12 + (i % 3) * 4 + Math.floor(i / 6)),
      0,
    );
    await expectClose(contiguous(slice(x, 1, 1, 3)), [4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23], 0);
    await expectClose(contiguous(expand(tensor([1, 2], [2, 1]), [3, 2, 2])), [1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2], 0);
  });

  it('keep gradients flowing', async () => {
    const x = tensor(count(24), [2, 3, 4]);
    const weights = tensor(
      count(24).map((i) => Math.cos(i)),
      [24],
    );
    const weighted = (y: ReturnType<typeof reshape>): ReturnType<typeof reshape> => mul(reshape(y, [24]), weights);
    await gradcheck((p) => weighted(permute(p!, [1, 2, 0])), [x]);
    await gradcheck((p) => weighted(transpose(p!)), [x]);
    await gradcheck((p) => weighted(concat([slice(p!, 2, 2, 4), slice(p!, 2, 0, 2)], 2)), [x]);
    await gradcheck((p) => weighted(expand(slice(p!, 0, 0, 1), [2, 3, 4])), [x]);
    await gradcheck((p) => weighted(clone(p!)), [x]);
  });

  it('concat and stack join odd sizes along any axis', async () => {
    const [a, b] = [tensor([1, 2, 3], [1, 3]), tensor([4, 5, 6, 7, 8, 9], [2, 3])];
    await expectClose(concat([a, b], 0), [1, 2, 3, 4, 5, 6, 7, 8, 9], 0);
    await expectClose(concat([transpose(a), transpose(b)], -1), [1, 4, 7, 2, 5, 8, 3, 6, 9], 0);
    await expectClose(stack([a, a], 1), [1, 2, 3, 1, 2, 3], 0);
    await gradcheck((p, q) => concat([p!, q!], 0), [a, b]);
  });

  it('writeSlice overwrites a part in place, from views too', async () => {
    const target = tensor(count(12), [2, 3, 2]);
    writeSlice(target, permute(tensor([-1, -2, -3, -4], [2, 1, 2]), [2, 1, 0]), { axis: 1, start: 1 });
    expect([...(await target.data())]).toEqual([0, 1, -1, -3, 4, 5, 6, 7, -2, -4, 10, 11]);
    expect(() => writeSlice(target, tensor(count(8), [2, 2, 2]), { axis: 1, start: 2 })).toThrow(
      'writeSlice: range must lie in 0..3, got 2..4.',
    );
    expect(() => writeSlice(target, tensor(count(3), [1, 3, 1]), { axis: 0, start: 0 })).toThrow(
      'writeSlice: values must be f32 that fit a packed [2,3,2] outside axis 0, got f32 [1,3,1].',
    );
  });

  it('detach cuts the graph', () => {
    const x = tensor([1], [1], { requiresGrad: true });
    expect(mul(x, 2).node).toBeDefined();
    expect(detach(mul(x, 2)).node).toBeUndefined();
  });

  it('refuse what cannot be', () => {
    const x = tensor(count(6), [2, 3]);
    expect(() => reshape(x, [4, -1])).toThrow('reshape: shape must keep 6 elements, got [4,-1].');
    expect(() => slice(x, 1, 2, 4)).toThrow('slice: range must lie in 0..3, got 2..4.');
    expect(() => permute(x, [0, 0])).toThrow('permute: order must name each of 2 axes once, got [0,0].');
    expect(() => concat([x, tensor([1], [1, 1])], 0)).toThrow(
      'concat: shapes must agree outside axis 0, got [2,3] and [1,1].',
    );
    expect(() => expand(x, [2, 4])).toThrow('expand: shapes must broadcast, got [2,3] and [2,4].');
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { backward } from './autograd/backward.ts';
import { noGrad } from './autograd/record.ts';
import type { Device } from './device/device.ts';
import { add, mul, silu } from './ops/elementwise.ts';
import { matmul } from './ops/matmul.ts';
import { sum } from './ops/reduce.ts';
import { reshape } from './ops/view.ts';
import { scope } from './scope.ts';
import { type Tensor, tensor } from './tensor.ts';
import { testDevice } from './testing/index.ts';

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

describe('scope', () => {
  it('frees what was made inside, except the result, wherever it nests', async () => {
    const before = device.stats().liveBuffers;
    const kept = scope(() => {
      const x = tensor([1, 2], [2]);
      const inner = scope(() => ({ doubled: [mul(x, 2)], map: new Map([['sum', sum(x)]]) }));
      return { view: reshape(inner.doubled[0]!, [1, 2]), total: inner.map.get('sum')! };
    });
    expect(device.stats().liveBuffers).toBe(before + 2);
    expect([...(await kept.view.data()), await kept.total.item()]).toEqual([2, 4, 3]);
    kept.view.dispose();
    kept.total.dispose();
    expect(device.stats().liveBuffers).toBe(before);
  });

  it('frees everything when the function throws', () => {
    const before = device.stats().liveBuffers;
    expect(() =>
      scope(() => {
        tensor([1], [1]);
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(device.stats().liveBuffers).toBe(before);
  });

  it('names the use of a freed tensor', () => {
    const x = tensor([1], [1]);
    x.dispose();
    x.dispose();
    expect(() => add(x, 1)).toThrow('tensor: [1] was freed. Return it from its scope, or do not dispose it yet.');
  });

  it('keeps buffers level over 200 training steps', async () => {
    const weight = tensor(
      Array.from({ length: 12 }, (_, i) => Math.sin(i)),
      [4, 3],
      { requiresGrad: true },
    );
    const step = (): Tensor =>
      scope(() => backward(sum(silu(matmul(tensor([1, 2, 3, 4], [1, 4]), weight))), [weight])[0]!);
    step().dispose();
    const { liveBuffers, pooledBytes } = device.stats();
    for (let i = 0; i < 200; i++) step().dispose();
    await device.idle();
    expect(device.stats().liveBuffers).toBe(liveBuffers);
    expect(device.stats().pooledBytes).toBe(pooledBytes);
    weight.dispose();
  });
});

describe('backward', () => {
  it('adds up every path to a tensor', async () => {
    const x = tensor([3], [1], { requiresGrad: true });
    const y = add(mul(x, x), mul(x, 2));
    expect(await backward(sum(y), [x])[0]!.item()).toBe(8);
  });

  it('gives zeros where nothing depends, and stops at noGrad', async () => {
    const [x, z] = [tensor([3], [1], { requiresGrad: true }), tensor([1], [1], { requiresGrad: true })];
    const constant = noGrad(() => mul(z, 5));
    const [dx, dz] = backward(sum(mul(x, constant)), [x, z]);
    expect([await dx!.item(), await dz!.item()]).toEqual([5, 0]);
  });

  it('refuses an output of more than one element', () => {
    const x = tensor([1, 2], [2], { requiresGrad: true });
    expect(() => backward(mul(x, 2), [x])).toThrow(
      'backward: output must have one element, got [2]. Reduce it with sum or mean.',
    );
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { setDevice } from '../device/current.ts';
import { createDevice, Device } from '../device/device.ts';
import { openGpu, throttledWait } from '../device/node.ts';
import { profileOf } from '../device/profile.ts';
import { scope } from '../scope.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { hashed, relativeError, valuesOf } from '../testing/index.ts';
import { attention } from './attention.ts';
import { mul } from './elementwise.ts';
import { groupNorm } from './group-norm.ts';
import { queryKeyValueHeads } from './heads.ts';
import { sum } from './reduce.ts';
import { concat } from './view.ts';

let usual: Device;
let small: Device;

/** A device with the limits that every adapter grants, as a page gets it that asks for none. */
async function openSmall(plainKernels: boolean): Promise<Device> {
  const { adapter, close } = await openGpu();
  const requiredFeatures = (['subgroups'] as const).filter((name) => adapter.features.has(name));
  const gpu = await adapter.requestDevice({ requiredFeatures });
  expect(gpu.limits.maxStorageBuffersPerShaderStage).toBe(8);
  return new Device(gpu, profileOf(adapter), { wait: throttledWait, plainKernels, onDestroy: close });
}

async function openUsual(plainKernels: boolean): Promise<Device> {
  const { adapter, close } = await openGpu();
  return createDevice(adapter, { wait: throttledWait, plainKernels, onDestroy: close });
}

interface Case {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly op: (...inputs: Tensor[]) => Tensor;
}

const words = (values: readonly number[], shape: readonly number[]): Tensor => tensor(values, shape, { dtype: 'u32' });

const cases: readonly Case[] = [
  {
    name: 'heads of queries, keys and values',
    shapes: [[2, 5, 96], [2], [32], [32]],
    op: (x, scale, queryBias, valueBias) => {
      const rope = hashed('rope', [5, 8, 2]);
      const { query, key, value } = queryKeyValueHeads(x!, {
        heads: 2,
        rope,
        scale: scale!,
        queryBias: queryBias!,
        valueBias: valueBias!,
      });
      return concat([query, key, value], 3);
    },
  },
  {
    name: 'attention with limits and a mask',
    shapes: [
      [2, 6, 2, 32],
      [2, 6, 2, 32],
      [2, 6, 2, 32],
    ],
    op: (q, k, v) =>
      attention(q!, k!, v!, {
        scale: 0.3,
        limits: words([1, 2, 3, 4, 5, 6], [6]),
        keyMask: words([1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1], [2, 6]),
      }),
  },
  {
    name: 'group norm with SiLU',
    shapes: [[2, 3, 5, 8], [8], [8]],
    op: (x, weight, bias) => groupNorm(x!, { groups: 2, eps: 1e-6, weight: weight!, bias: bias!, activation: 'silu' }),
  },
];

/** The result and the gradients of all inputs. */
async function outcome(device: Device, { shapes, op }: Case): Promise<Float32Array[]> {
  setDevice(device);
  const all = scope(() => {
    const inputs = shapes.map((shape, i) => Object.assign(hashed(`input ${i}`, shape), { requiresGrad: true }));
    const y = op(...inputs);
    return [y, ...backward(sum(mul(y, hashed('upstream', y.shape))), inputs)];
  });
  return Promise.all(all.map(valuesOf));
}

describe.each([
  ['fast', false],
  ['plain', true],
])('on a device that grants eight buffers, %s kernels', (_, plainKernels) => {
  beforeAll(async () => {
    usual = await openUsual(plainKernels);
    small = await openSmall(plainKernels);
  });

  afterAll(async () => {
    setDevice(undefined);
    for (const device of [usual, small]) {
      await device.idle();
      device.destroy();
    }
  });

  it.each(cases.map((one) => [one.name, one] as const))('%s have the same values and gradients', async (_name, one) => {
    const [got, want] = [await outcome(small, one), await outcome(usual, one)];
    // the same sums in the same order; a compiler may join other multiplications and additions
    for (const [i, values] of got.entries()) expect(relativeError(values, want[i]!), `output ${i}`).toBeLessThan(1e-6);
  });
});

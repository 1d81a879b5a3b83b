import { beforeAll, describe, expect, it } from 'vitest';
import { currentDevice } from '../device/current.ts';
import { permute } from '../ops/view.ts';
import { contiguousStrides } from '../shape.ts';
import { assign, type Tensor, tensor } from '../tensor.ts';
import { hashedValues } from '../testing/hashed.ts';
import { testDevice } from '../testing/test-device.ts';
import { loadTensors, snapshot } from './device-tensors.ts';
import { hostFloats, type HostTensor, hostTensor } from './host-tensor.ts';
import { storedTensor } from './stored-tensor.ts';

beforeAll(testDevice);

const collect = async (copies: AsyncIterable<HostTensor>): Promise<HostTensor[]> => {
  const all: HostTensor[] = [];
  for await (const copy of copies) all.push(copy);
  return all;
};

/** Elements 4..4 + 7 of a tensor. */
const partOf = (whole: Tensor): Tensor => whole.view([7], contiguousStrides([7]), 4);

describe('snapshot', () => {
  it('copies tensors of all types and odd sizes as they are at the call, whatever is written behind it', async () => {
    const values = hashedValues('a', 1025);
    const one = tensor(values, [5, 205]);
    const half = tensor([1, 2, 0.5], [3], { dtype: 'f16' });
    const words = tensor([7, 2 ** 32 - 1], [2, 1], { dtype: 'u32' });
    const { liveBuffers } = currentDevice().stats();
    const copies = snapshot([one, half, words, partOf(one)]);
    assign(one, new Float32Array(1025));
    assign(half, [0, 0, 0]);
    assign(words, [0, 0]);
    const [a, b, c, part] = await collect(copies);
    expect([a!.dtype, a!.shape, hostFloats(a!)]).toEqual(['F32', [5, 205], values]);
    expect([b!.dtype, b!.shape, hostFloats(b!)]).toEqual(['F16', [3], Float32Array.of(1, 2, 0.5)]);
    expect([c!.dtype, c!.shape, [...hostFloats(c!)]]).toEqual(['U32', [2, 1], [7, 2 ** 32]]);
    expect([part!.shape, hostFloats(part!)]).toEqual([[7], values.slice(4, 11)]);
    expect(currentDevice().stats().liveBuffers).toBe(liveBuffers);
    expect(await collect(snapshot([]))).toEqual([]);
  });

  it('refuses what is not contiguous', () => {
    const turned = permute(tensor(hashedValues('t', 15), [3, 5]), [1, 0]);
    expect(() => snapshot([turned])).toThrow(
      'snapshot: tensors must be contiguous, got [5,3] with strides [1,5]. Call contiguous() first.',
    );
  });
});

describe('loadTensors', () => {
  it('fills tensors and parts of them by name, and nothing beside', async () => {
    const whole = tensor(hashedValues('w', 13), [13]);
    const other = tensor(hashedValues('o', 3), [3, 1], { dtype: 'f16' });
    const before = await whole.data();
    const stored = new Map([
      ['part', storedTensor(hostTensor(hashedValues('p', 7), [7]))],
      ['other', storedTensor(hostTensor(Float32Array.of(1, 2, 3), [3, 1]))],
    ]);
    await loadTensors(new Map(Object.entries({ part: partOf(whole), other })), stored);
    const after = await whole.data();
    expect(after.slice(4, 11)).toEqual(hashedValues('p', 7));
    expect([...after.slice(0, 4), ...after.slice(11)]).toEqual([...before.slice(0, 4), ...before.slice(11)]);
    expect([...(await other.data())]).toEqual([1, 2, 3]);
  });
});

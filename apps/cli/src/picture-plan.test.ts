import { createDevice, type MemoryLimits, setDevice } from '@star-webgpu/tensor-webgpu';
import { type OpenedGpu, openGpu } from '@star-webgpu/tensor-webgpu/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planPicture, total } from './picture-plan.ts';

let opened: OpenedGpu;

beforeAll(async () => {
  opened = await openGpu({ backend: 'null' });
});

afterAll(() => opened.close());

/** Runs something on Dawn's null backend, which computes nothing, within limits. */
async function within<T>(limits: MemoryLimits, run: () => T): Promise<{ result: T; liveBytes: number }> {
  const device = await createDevice((await opened.gpu.requestAdapter())!, { limits });
  setDevice(device);
  try {
    return { result: run(), liveBytes: device.stats().liveBytes };
  } finally {
    setDevice(undefined);
    device.destroy();
  }
}

describe('a picture of a published size, planned', () => {
  it('star-256-d16: parameters, tokens, operations and memory by kind, with next to nothing allocated', async () => {
    const { result, liveBytes } = await within({}, () => planPicture('star-256-d16', 'f16'));
    expect(result.refusals).toEqual([]);
    expect(result).toMatchObject({ width: 256, height: 256, scales: 10, tokens: 680 });
    expect(Math.round(result.parameters.transformer / 1e6)).toBe(274);
    expect(Math.round(result.parameters['text tower'] / 1e6)).toBe(340);
    // halves: two bytes a parameter, all but the vectors and the quantiser, which are a thousandth
    expect(result.bytes['transformer weights'] / result.parameters.transformer).toBeCloseTo(2, 2);
    // keys and values of 2 x 680 tokens and 2 x 77 words, 1024 wide, in 16 blocks
    expect(result.bytes.cache).toBe(2 * 2 * 16 * 2 * (680 + 77) * 1024);
    // each of 2 x 680 tokens meets the blocks' and the head's 273 M weights once, two operations each; attention comes on top
    expect(result.flops.scales).toBeGreaterThan(2 * 1360 * 0.23e9);
    expect(result.flops.scales).toBeLessThan(2 * 1360 * 0.3e9);
    expect(liveBytes).toBeLessThan(1e6);
  });

  it('takes twice as much for weights and cache in f32', async () => {
    const { result: half } = await within({}, () => planPicture('star-256-d16', 'f16'));
    const { result: full } = await within({}, () => planPicture('star-256-d16', 'f32'));
    expect(full.bytes.cache).toBe(2 * half.bytes.cache);
    expect(total(full.bytes) / total(half.bytes)).toBeGreaterThan(1.8);
  });

  it('takes the tokens of its ratio', async () => {
    const { result } = await within({}, () => planPicture('star-256-d16', 'f16', '3:2'));
    expect(result).toMatchObject({ width: 320, height: 208, scales: 10, tokens: 704 });
    expect(result.bytes.cache).toBe(2 * 2 * 16 * 2 * (704 + 77) * 1024);
  });

  it('fits bindings that hold neither its largest table nor the decoder’s maps', async () => {
    const binding = 16 * 2 ** 20;
    const { result } = await within({ binding }, () => planPicture('star-256-d16', 'f16'));
    expect(result.refusals).toEqual([]);
  });

  it('star-1024-d30: names the tensor, its size, the limit and what to do where a buffer does not hold it', async () => {
    const buffer = 256 * 2 ** 20;
    const { result } = await within({ buffer }, () => planPicture('star-1024-d30', 'f16'));
    expect(result.refusals).toEqual([
      'decoder: empty: [1,1024,1024,160] f16 must fit one buffer of 268435456 bytes, got 335544320. Use a smaller batch, or an adapter with larger buffers.',
    ]);
    const parameter = within({ buffer: 128 * 2 ** 20 }, () => planPicture('star-256-d16', 'f32'));
    await expect(parameter).rejects.toThrow(
      'parameter: weight [49408,1024] f32 must fit one buffer of 134217728 bytes, got 202375168. Use f16, or an adapter with larger buffers.',
    );
  });
});

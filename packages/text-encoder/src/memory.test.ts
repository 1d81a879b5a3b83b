import {
  bytesPerElement,
  createDevice,
  empty,
  type MemoryLimits,
  noGrad,
  plan,
  type PlanSize,
  setDevice,
  withParameters,
} from '@star-webgpu/tensor-webgpu';
import { type OpenedGpu, openGpu } from '@star-webgpu/tensor-webgpu/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClipText } from './clip.ts';
import { publishedTextConfig } from './config.ts';
import { publishedT5Config } from './t5-config.ts';
import { T5Text } from './t5.ts';
import type { TextModel } from './text-model.ts';

let opened: OpenedGpu;

beforeAll(async () => {
  opened = await openGpu({ backend: 'null' });
});

afterAll(() => opened.close());

interface Needs {
  readonly parameters: number;
  readonly weightBytes: number;
  readonly work: PlanSize;
  /** What was allocated for all that. */
  readonly liveBytes: number;
}

/** What encoding two prompts takes with halves on the device: planned on Dawn's null backend, within limits, without weights. */
async function needsOf(create: () => TextModel, limits: MemoryLimits, dtype: 'f16' | 'f32' = 'f16'): Promise<Needs> {
  const device = await createDevice((await opened.gpu.requestAdapter())!, { limits });
  setDevice(device);
  try {
    const { model } = plan(() => withParameters({ values: 'none', dtype }, () => ({ model: create() }))).result;
    model.freeze();
    const T = model.config.positions;
    const encode = plan(() => noGrad(() => model.forward(empty([2, T], 'u32'), empty([2, T], 'u32'))));
    const tensors = [...model.namedTensors().values()];
    return {
      parameters: tensors.reduce((sum, { size }) => sum + size, 0),
      weightBytes: tensors.reduce((sum, tensor) => sum + tensor.size * bytesPerElement[tensor.dtype], 0),
      work: encode.size,
      liveBytes: device.stats().liveBytes,
    };
  } finally {
    setDevice(undefined);
    device.destroy();
  }
}

/** What every adapter of WebGPU binds at least. */
const binding = 128 * 2 ** 20;
const newT5 = (): TextModel => new T5Text(publishedT5Config);
const newClip = (): TextModel => new ClipText(publishedTextConfig);

describe('published text encoders in bindings of 128 MiB', () => {
  it('flan-T5-XL: 1.2 billion parameters in 2.4 GB, two prompts in tens of megabytes', async () => {
    const { parameters, weightBytes, work, liveBytes } = await needsOf(newT5, { binding });
    expect(Math.round(parameters / 1e7)).toBe(122);
    expect(weightBytes / parameters).toBeCloseTo(2, 2);
    // each of 240 tokens meets all weights but the table's once, two operations each; scores come on top
    expect(work.flops / (2 * 240 * (parameters - 32_128 * 2048))).toBeCloseTo(1, 1);
    expect(work.bytes).toBeLessThan(100e6);
    expect(liveBytes).toBeLessThan(1e6);
  });

  it('the text tower of Stable Diffusion 2.1: 340 million parameters in 0.7 GB', async () => {
    const { parameters, weightBytes, work } = await needsOf(newClip, { binding });
    expect(Math.round(parameters / 1e6)).toBe(340);
    expect(weightBytes / parameters).toBeCloseTo(2, 2);
    expect(work.bytes).toBeLessThan(20e6);
  });

  it('look tables up by parts where one binding does not hold them', async () => {
    const whole = await needsOf(newT5, { binding: 2 ** 30 });
    const parts = await needsOf(newT5, { binding });
    // 32128 x 2048 halves are 125.5 MiB, which fits; in f32 they do not.
    expect(parts.work.dispatches).toBe(whole.work.dispatches);
    const wide = await needsOf(newT5, { binding }, 'f32');
    expect(wide.work.dispatches).toBeGreaterThan(whole.work.dispatches);
    await needsOf(newT5, { binding: 16 * 2 ** 20 });
  });

  it('are refused with advice where no buffer holds a table', async () => {
    const buffer = 128 * 2 ** 20;
    await expect(needsOf(newT5, { buffer }, 'f32')).rejects.toThrow(
      'parameter: weight [32128,2048] f32 must fit one buffer of 134217728 bytes, got 263192576. Use f16, or an adapter with larger buffers.',
    );
    await expect(needsOf(newT5, { buffer: 64 * 2 ** 20 })).rejects.toThrow(
      'parameter: weight [32128,2048] f16 must fit one buffer of 67108864 bytes, got 131596288. Use an adapter with larger buffers.',
    );
  });
});

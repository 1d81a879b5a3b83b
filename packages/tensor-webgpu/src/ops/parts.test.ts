import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noGrad } from '../autograd/record.ts';
import { setDevice } from '../device/current.ts';
import { createDevice, type Device } from '../device/device.ts';
import { openGpu, throttledWait } from '../device/node.ts';
import { plan } from '../device/plan.ts';
import { relativeError, valuesOf } from '../testing/close.ts';
import { hashed } from '../testing/hashed.ts';
import { scope } from '../scope.ts';
import { empty, type Tensor, tensor } from '../tensor.ts';
import { attention } from './attention.ts';
import { cast } from './cast.ts';
import { conv2d } from './conv2d.ts';
import { add, gelu, mul } from './elementwise.ts';
import { embedding } from './embedding.ts';
import { groupNorm } from './group-norm.ts';
import { queryKeyValueHeads } from './heads.ts';
import { linear } from './linear.ts';
import { addInto } from './map.ts';
import { matmul } from './matmul.ts';
import { layerNorm } from './norm.ts';
import { gumbel, normal } from './random.ts';
import { upsampleNearest } from './resize.ts';
import { drawTokens, filterLogits } from './select.ts';
import { softmax } from './softmax.ts';
import { clone, concat, contiguous, permute, slice, writeSlice } from './view.ts';

/** Bytes that the small device binds at most: every case has a tensor of several times that. */
const binding = 16_384;

let wide: Device;
let small: Device;
let close: () => void;
/** Dawn gives one device an adapter. */
let again: () => Promise<GPUAdapter>;

beforeAll(async () => {
  const opened = await openGpu();
  const wait = throttledWait;
  wide = await createDevice(opened.adapter, { wait });
  again = async () => (await opened.gpu.requestAdapter())!;
  small = await createDevice(await again(), { wait, limits: { binding } });
  close = opened.close;
});

afterAll(async () => {
  setDevice(undefined);
  for (const device of [wide, small]) {
    await device.idle();
    device.destroy();
  }
  close();
});

const indices = (values: readonly number[]): Tensor => tensor(values, [values.length], { dtype: 'u32' });

/** A cache of more rows than are attended to, of which the first are filled. */
function cached(name: string, [B, L, N, d]: readonly [number, number, number, number], rows: number): Tensor {
  const cache = tensor(new Float32Array(B * L * N * d), [B, L, N, d]);
  writeSlice(cache, hashed(name, [B, rows, N, d]), { axis: 1, start: 0 });
  return slice(cache, 1, 0, rows);
}

const cases: readonly (readonly [name: string, run: () => Tensor])[] = [
  ['a sum', () => add(hashed('a', [77, 65, 3]), hashed('b', [77, 65, 3]))],
  ['a sum of rows that are repeated', () => mul(hashed('a', [2, 130, 64]), hashed('b', [64]))],
  ['a sum of columns that are repeated', () => mul(hashed('a', [260, 64]), hashed('b', [260, 1]))],
  ['a cast', () => cast(hashed('a', [9001]), 'f16')],
  ['an activation of one long row', () => gelu(hashed('a', [1, 9001]))],
  ['a copy of a permuted tensor', () => contiguous(permute(hashed('a', [64, 33, 16]), [0, 2, 1]))],
  ['a copy of a part of each row', () => contiguous(slice(hashed('a', [128, 192]), 1, 64, 128))],
  ['tensors joined along the first axis', () => concat([hashed('a', [65, 64]), hashed('b', [65, 64])], 0)],
  ['tensors joined along the last axis', () => concat([hashed('a', [130, 32]), hashed('b', [130, 64])], 1)],
  ['a product of many rows', () => matmul(hashed('a', [513, 32]), hashed('b', [32, 32]))],
  ['products of several matrices', () => matmul(hashed('a', [3, 64, 40]), hashed('b', [3, 40, 64]))],
  ['a product with one matrix for all', () => matmul(hashed('a', [2, 128, 64]), hashed('b', [64, 32]))],
  [
    'a layer of many rows with a finish',
    () =>
      linear(hashed('x', [2, 130, 64]), hashed('w', [32, 64]), hashed('bias', [32]), {
        activation: 'gelu',
        residual: hashed('residual', [2, 130, 32]),
      }),
  ],
  [
    'a layer of many outputs with a finish',
    () =>
      linear(hashed('x', [3, 5, 64]), hashed('w', [192, 64]), hashed('bias', [192]), {
        activation: 'gelu',
        residual: hashed('residual', [3, 5, 192]),
      }),
  ],
  [
    'a layer whose weight is a slice of a large one',
    () => linear(hashed('x', [5, 64]), slice(hashed('w', [192, 64]), 0, 130, 160)),
  ],
  ['rows of a large table', () => embedding(hashed('table', [129, 64]), indices([0, 128, 64, 63, 65, 500]))],
  [
    'many rows of a table',
    () => embedding(hashed('table', [5, 64]), indices(Array.from({ length: 300 }, (_, i) => i % 5))),
  ],
  ['layer norm', () => layerNorm(hashed('x', [130, 64]), { eps: 1e-6 })],
  ['softmax', () => softmax(hashed('x', [130, 64]))],
  [
    'group norm',
    () =>
      groupNorm(hashed('x', [1, 61, 33, 8]), {
        groups: 4,
        eps: 1e-6,
        weight: hashed('weight', [8]),
        bias: hashed('bias', [8]),
        activation: 'silu',
      }),
  ],
  [
    'group norm of several pictures',
    () =>
      groupNorm(hashed('x', [3, 32, 32, 8]), {
        groups: 2,
        eps: 1e-6,
        weight: hashed('weight', [8]),
        bias: hashed('bias', [8]),
      }),
  ],
  ['pixels repeated', () => upsampleNearest(hashed('x', [2, 16, 32, 4]))],
  [
    'a convolution',
    () => conv2d(hashed('x', [2, 33, 32, 8]), hashed('w', [12, 8, 3, 3]), { padding: 1, bias: hashed('bias', [12]) }),
  ],
  [
    'a convolution of rows at which no binding starts',
    () => conv2d(hashed('x', [1, 40, 20, 4]), hashed('w', [8, 4, 3, 3]), { padding: 1, bias: hashed('bias', [8]) }),
  ],
  [
    'a convolution of stride 2 with zeros at the bottom and the right',
    () => conv2d(hashed('x', [1, 64, 32, 8]), hashed('w', [16, 8, 3, 3]), { stride: 2, padding: [0, 1, 1, 0] }),
  ],
  [
    'a convolution of doubled pictures',
    () =>
      conv2d(hashed('x', [2, 17, 16, 8]), hashed('w', [16, 8, 3, 3]), {
        padding: 1,
        upsample: 2,
        bias: hashed('bias', [16]),
      }),
  ],
  [
    'a sum in place',
    () => {
      const y = clone(hashed('y', [77, 65, 3]));
      addInto(y, hashed('x', [77, 65, 3]));
      return y;
    },
  ],
  ['a pointwise convolution', () => conv2d(hashed('x', [1, 33, 31, 8]), hashed('w', [12, 8, 1, 1]))],
  [
    'heads',
    () => {
      const { query, key, value } = queryKeyValueHeads(hashed('x', [2, 96, 96]), {
        heads: 2,
        rope: hashed('rope', [96, 8, 2]),
        scale: hashed('scale', [2]),
        queryBias: hashed('bias', [32]),
        valueBias: hashed('values', [32]),
      });
      return concat([query, key, value], 3);
    },
  ],
  [
    'attention of several batch elements over a cache',
    () =>
      attention(hashed('q', [2, 5, 2, 32]), cached('k', [2, 48, 2, 32], 40), cached('v', [2, 48, 2, 32], 40), {
        scale: 0.3,
      }),
  ],
  [
    'attention of many queries with limits',
    () => {
      const limits = indices(Array.from({ length: 300 }, (_, i) => 1 + Math.floor(i / 10)));
      return attention(hashed('q', [1, 300, 1, 32]), hashed('k', [1, 30, 1, 32]), hashed('v', [1, 30, 1, 32]), {
        scale: 0.3,
        limits,
      });
    },
  ],
  [
    'attention over keys of which one batch element has too many to bind',
    () =>
      attention(hashed('q', [1, 7, 2, 32]), cached('k', [1, 300, 2, 32], 290), cached('v', [1, 300, 2, 32], 290), {
        scale: 3,
      }),
  ],
  [
    'attention of a batch with a mask',
    () =>
      attention(hashed('q', [2, 33, 2, 32]), hashed('k', [2, 40, 2, 32]), hashed('v', [2, 40, 2, 32]), {
        scale: 0.3,
        keyMask: tensor(
          Array.from({ length: 80 }, (_, i) => (i % 3 ? 1 : 0)),
          [2, 40],
          { dtype: 'u32' },
        ),
      }),
  ],
  [
    'draws by several seeds',
    () => drawTokens(mul(hashed('x', [256, 31]), 5), { topK: 20, topP: 0.8, seed: [3, 4], stream: 2, offset: 5 }),
  ],
  ['filtered logits', () => softmax(filterLogits(mul(hashed('x', [260, 64]), 5), { topK: 20, topP: 0.8 }))],
  ['normal numbers', () => normal([9001], { seed: 5, offset: 3 })],
  ['numbers by several seeds', () => gumbel([2, 64, 64], { seed: [5, 6], stream: 1 })],
];

/** Values of a case on a device, eager and from a plan. */
async function outcome(device: Device, run: () => Tensor): Promise<{ eager: Float32Array; planned: Float32Array }> {
  setDevice(device);
  const eager = await valuesOf(scope(() => noGrad(run)));
  const recorded = plan(() => noGrad(run));
  recorded.run();
  const planned = await valuesOf(recorded.result);
  recorded.dispose();
  return { eager, planned };
}

describe('tensors that are too large to bind', () => {
  it.each(cases)('%s is the same by parts', async (_, run) => {
    const whole = await outcome(wide, run);
    const parts = await outcome(small, run);
    // sums have another order where keys are split, or where a smaller product takes another tile
    expect(relativeError(parts.eager, whole.eager)).toBeLessThan(1e-6);
    expect(parts.planned).toEqual(parts.eager);
  });

  it('are refused by name where a kernel wants all of them', () => {
    setDevice(small);
    expect(() => scope(() => matmul(hashed('a', [64, 128]), hashed('b', [64, 8]), { transposeA: true }))).toThrow(
      /a_data must fit one binding of 16384 bytes, got 32768. Use a smaller batch, f16, or split the tensor/,
    );
  });

  it('are refused where no buffer holds them', async () => {
    const device = await createDevice(await again(), { limits: { buffer: 4096 } });
    expect(() => empty([32, 33], 'f32', device)).toThrow(
      'empty: [32,33] f32 must fit one buffer of 4096 bytes, got 4224. Use a smaller batch, f16, or an adapter with larger buffers.',
    );
    device.destroy();
  });
});

import { expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { fromHalfBits, toHalfBits } from '../dtype.ts';
import { scope } from '../scope.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { describeHalves, hashedValues, relativeError, valuesOf } from '../testing/index.ts';
import { attention } from './attention.ts';
import { cast } from './cast.ts';
import { conv2d } from './conv2d.ts';
import { add, gelu, mul, silu, where, greater } from './elementwise.ts';
import { embedding, scatterAdd } from './embedding.ts';
import { gather } from './gather.ts';
import { allFinite, globalNorm } from './gradient-norm.ts';
import { groupNorm } from './group-norm.ts';
import { queryKeyValueHeads } from './heads.ts';
import { linearCrossEntropy } from './linear-cross-entropy.ts';
import { layerNorm, l2Normalize } from './norm.ts';
import { adamwStep } from './optimizer.ts';
import { argmax, max, mean, sum } from './reduce.ts';
import { resizeArea, resizeBicubic, upsampleNearest } from './resize.ts';
import { averagePool2d, maxPool2d } from './pool.ts';
import { rope } from './rope.ts';
import { drawTokens, filterLogits, topK } from './select.ts';
import { crossEntropy, logSoftmax, softmax } from './softmax.ts';
import { concat, contiguous, padAxis, permute, reshape, slice, writeSlice } from './view.ts';

/** Values that halves hold exactly, so that the f32 op on them is the truth. */
const values = (name: string, count: number): number[] =>
  [...hashedValues(name, count)].map((value) => fromHalfBits(toHalfBits(value)));
const indices = (values: readonly number[], shape = [values.length]): Tensor => tensor(values, shape, { dtype: 'u32' });
/** A constant of the op in x's type. */
const like = (x: Tensor, name: string, shape: readonly number[]): Tensor =>
  tensor(
    values(
      name,
      shape.reduce((a, b) => a * b, 1),
    ),
    shape,
    { dtype: x.dtype },
  );

interface Case {
  readonly name: string;
  readonly shape: readonly number[];
  readonly op: (x: Tensor) => Tensor;
  /** 2-norm of the relative error; halves round by 2^-11 = 5e-4, once or twice an op. */
  readonly tolerance?: number;
}

const rotations = (x: Tensor): Tensor =>
  tensor(
    [...hashedValues('angle', (x.shape[1]! * x.shape[3]!) / 2)].flatMap((a) => [Math.cos(a), Math.sin(a)]),
    [x.shape[1]!, x.shape[3]! / 2, 2],
  );

const cases: readonly Case[] = [
  { name: 'elementwise, an odd number of elements', shape: [7], op: (x) => gelu(mul(add(x, 0.5), x)) },
  { name: 'broadcast over rows', shape: [5, 7], op: (x) => mul(x, like(x, 'row', [7])) },
  { name: 'broadcast over columns', shape: [5, 7], op: (x) => silu(add(x, like(x, 'column', [5, 1]))) },
  { name: 'broadcast over columns by whole vectors', shape: [5, 8], op: (x) => add(x, like(x, 'column', [5, 1])) },
  { name: 'where', shape: [3, 5], op: (x) => where(greater(x, 0), x, mul(x, 0.25)) },
  { name: 'a copy of a permuted view', shape: [3, 5, 7], op: (x) => contiguous(permute(x, [2, 0, 1])) },
  { name: 'a copy of a view from an odd offset', shape: [3, 7], op: (x) => contiguous(slice(x, 1, 1, 6)) },
  { name: 'concat of even runs', shape: [3, 4], op: (x) => concat([x, mul(x, 2), x], 1) },
  { name: 'concat of odd runs', shape: [3, 5], op: (x) => concat([slice(x, 1, 0, 3), x, slice(x, 1, 2, 3)], 1) },
  { name: 'zeros around', shape: [3, 3, 3], op: (x) => padAxis(x, 1, 1, 2) },
  { name: 'sum over rows', shape: [9, 7], op: (x) => sum(x, { axis: 0 }) },
  { name: 'sum over long rows', shape: [3, 1025], op: (x) => sum(x, { axis: 1 }) },
  { name: 'mean over all', shape: [65, 63], op: (x) => mean(x) },
  { name: 'max over columns', shape: [5, 33], op: (x) => max(x, { axis: 1 }) },
  { name: 'layer norm', shape: [5, 36], op: (x) => layerNorm(x, { eps: 1e-6 }) },
  { name: 'layer norm of odd rows', shape: [5, 7], op: (x) => layerNorm(x, { eps: 1e-6 }), tolerance: 3e-3 },
  { name: 'l2 norm', shape: [5, 12], op: (x) => l2Normalize(x) },
  {
    name: 'group norm with SiLU',
    shape: [2, 5, 7, 12],
    op: (x) =>
      groupNorm(x, {
        groups: 3,
        eps: 1e-6,
        weight: like(x, 'weight', [12]),
        bias: like(x, 'bias', [12]),
        activation: 'silu',
      }),
  },
  { name: 'softmax of odd rows', shape: [5, 7], op: softmax },
  { name: 'log softmax', shape: [3, 600], op: logSoftmax },
  {
    name: 'cross-entropy of odd rows',
    shape: [5, 7],
    op: (x) => crossEntropy(x, indices([0, 6, 3, 1, 2]), { labelSmoothing: 0.1 }),
  },
  { name: 'cross-entropy', shape: [3, 64], op: (x) => crossEntropy(x, indices([63, 0, 5])) },
  {
    name: 'cross-entropy with the last layer, odd classes',
    shape: [5, 8],
    op: (x) => linearCrossEntropy(x, like(x, 'classes', [7, 8]), { targets: indices([0, 6, 3, 1, 2]) }).loss,
  },
  {
    name: 'cross-entropy with the last layer',
    shape: [5, 8],
    op: (x) =>
      linearCrossEntropy(x, like(x, 'classes', [12, 8]), { targets: indices([0, 6, 3, 11, 2]), chunkBytes: 50 }).loss,
  },
  { name: 'embedding of odd rows', shape: [5, 7], op: (x) => embedding(x, indices([4, 0, 0, 3, 9])) },
  { name: 'embedding of even rows', shape: [5, 8], op: (x) => embedding(x, indices([4, 0, 0])) },
  { name: 'scatter of odd rows', shape: [4, 3], op: (x) => scatterAdd(x, indices([4, 0, 0, 2]), 5) },
  { name: 'gather', shape: [3, 5], op: (x) => gather(x, indices([0, 4, 4, 1, 1, 1, 2, 3, 0], [3, 3])) },
  { name: 'bicubic resize', shape: [1, 3, 3, 5], op: (x) => resizeBicubic(x, [5, 7]), tolerance: 2e-3 },
  { name: 'area resize', shape: [1, 5, 7, 3], op: (x) => resizeArea(x, [3, 2]), tolerance: 2e-3 },
  { name: 'nearest upsampling', shape: [1, 3, 5, 4], op: (x) => upsampleNearest(x) },
  { name: 'largest of odd channels', shape: [1, 5, 5, 3], op: (x) => maxPool2d(x, { size: 3, stride: 2, padding: 1 }) },
  {
    name: 'means of whole vectors',
    shape: [1, 5, 5, 4],
    op: (x) => averagePool2d(x, { size: 3, stride: 2, padding: 1 }),
  },
  { name: 'rope', shape: [2, 3, 2, 8], op: (x) => rope(x, rotations(x)) },
  {
    name: 'heads',
    shape: [2, 5, 36],
    op: (x) => {
      const bias = like(x, 'bias', [12]);
      const scale = like(x, 'scale', [3]);
      const table = rotations(reshape(x, [2, 5, 9, 4]));
      const { query, key, value } = queryKeyValueHeads(x, {
        heads: 3,
        rope: table,
        scale,
        queryBias: bias,
        valueBias: bias,
      });
      return concat([query, key, value], 3);
    },
  },
  {
    name: 'attention with limits',
    shape: [2, 9, 2, 32],
    op: (x) => attention(x, mul(x, 0.5), x, { scale: 0.3, limits: indices([1, 1, 3, 3, 5, 5, 7, 9, 9]) }),
    tolerance: 2e-3,
  },
  {
    name: 'attention of narrow heads with a mask',
    shape: [2, 5, 1, 12],
    op: (x) => attention(x, x, x, { scale: 0.3, keyMask: indices([1, 1, 0, 1, 0, 0, 1, 1, 1, 1], [2, 5]) }),
    tolerance: 2e-3,
  },
  {
    name: 'convolution of odd channels',
    shape: [1, 5, 5, 3],
    op: (x) => conv2d(x, like(x, 'filter', [5, 3, 3, 3]), { padding: 1, bias: like(x, 'bias', [5]) }),
    tolerance: 2e-3,
  },
];

interface Outcome {
  readonly y: Float32Array;
  readonly dx: Float32Array;
  readonly dtypes: readonly string[];
}

async function outcomeOf({ shape, op }: Case, dtype: 'f32' | 'f16'): Promise<Outcome> {
  const size = shape.reduce((a, b) => a * b, 1);
  const x = tensor(values('x', size), shape, { dtype, requiresGrad: true });
  const { y, dx } = scope(() => {
    const result = op(x);
    const weights = tensor(values('upstream', result.size), result.shape);
    return { y: result, dx: backward(sum(mul(cast(result, 'f32'), weights)), [x])[0]! };
  });
  return { y: await valuesOf(y), dx: await valuesOf(dx), dtypes: [y.dtype, dx.dtype] };
}

describeHalves('ops on f16 tensors', () => {
  it.each(cases.map((one) => [one.name, one] as const))('%s', async (_, one) => {
    const [full, half] = [await outcomeOf(one, 'f32'), await outcomeOf(one, 'f16')];
    expect(half.dtypes[1]).toBe('f16');
    const tolerance = one.tolerance ?? 1e-3;
    expect(relativeError(half.y, full.y), 'value').toBeLessThan(tolerance);
    expect(relativeError(half.dx, full.dx), 'gradient').toBeLessThan(2 * tolerance);
  });

  it('casts round to nearest, and give infinities beyond the largest half and NaN for NaN', async () => {
    const given = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65_519, 65_520, -1e6, 1e30, Infinity, -Infinity, 6e-8, NaN, -0.1];
    const halves = await cast(tensor(given, [11]), 'f16').hostData();
    expect([...halves].map(fromHalfBits)).toEqual(given.map((value) => fromHalfBits(toHalfBits(value))));
    const back = await valuesOf(cast(tensor([Infinity, -Infinity, 2], [3], { dtype: 'f16' }), 'f32'));
    expect([...back]).toEqual([Infinity, -Infinity, 2]);
  });

  it('filters, draws and ranks logits as those of f32', async () => {
    const logits = values('logits', 3 * 13);
    const of = (dtype: 'f32' | 'f16'): Tensor => tensor(logits, [3, 13], { dtype });
    const options = { topK: 6, topP: 0.7, seed: 3 };
    expect(await valuesOf(filterLogits(of('f16'), options))).toEqual(await valuesOf(filterLogits(of('f32'), options)));
    expect(await valuesOf(drawTokens(of('f16'), options))).toEqual(await valuesOf(drawTokens(of('f32'), options)));
    const [half, full] = [topK(of('f16'), 5), topK(of('f32'), 5)];
    expect(await valuesOf(half.values)).toEqual(await valuesOf(full.values));
    expect(await valuesOf(half.indices)).toEqual(await valuesOf(full.indices));
    expect(await valuesOf(argmax(of('f16')))).toEqual(await valuesOf(argmax(of('f32'))));
  });

  it.each([
    [4, 2],
    [3, 1],
    [5, 0],
  ])('writes into a cache of rows of 5 x %i from %i, leaving the rest as it was', async (width, start) => {
    const cache = tensor(values('cache', 3 * 5 * width), [3, 5, width], { dtype: 'f16' });
    const fresh = tensor(values('fresh', 3 * 2 * width), [3, 2, width], { dtype: 'f16' });
    const wanted = await valuesOf(cache);
    const rows = await valuesOf(fresh);
    for (let b = 0; b < 3; b++) wanted.set(rows.subarray(b * 2 * width, (b + 1) * 2 * width), (b * 5 + start) * width);
    writeSlice(cache, fresh, { axis: 1, start });
    expect(await valuesOf(cache)).toEqual(wanted);
  });

  it('measures and applies gradients', async () => {
    const slots = (dtype: 'f32' | 'f16'): Parameters<typeof adamwStep>[0][number] => ({
      parameter: tensor(values('p', 7), [7]),
      gradient: tensor(values('g', 7), [7], { dtype }),
      first: tensor(new Float32Array(7), [7]),
      second: tensor(new Float32Array(7), [7]),
    });
    const [half, full] = [slots('f16'), slots('f32')];
    expect(await globalNorm([half.gradient]).item()).toBe(await globalNorm([full.gradient]).item());
    expect(await allFinite([half.gradient]).item()).toBe(1);
    for (const slot of [half, full]) adamwStep([slot], { learningRate: 0.1, step: 1 });
    expect(await valuesOf(half.parameter)).toEqual(await valuesOf(full.parameter));
    expect(await allFinite([cast(tensor([1, 1e6], [2]), 'f16')]).item()).toBe(0);
  });
});

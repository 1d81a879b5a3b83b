import { expect, it } from 'vitest';
import { describeVariants, expectClose, gradcheck, hashed, hashedValues } from '../testing/index.ts';
import { vectorJacobian } from '../autograd/backward.ts';
import { full, type Tensor, tensor } from '../tensor.ts';
import { attention } from './attention.ts';
import { concat, contiguous, detach, slice, writeSlice } from './view.ts';

interface Case {
  readonly title: string;
  readonly B: number;
  readonly Lq: number;
  readonly Lk: number;
  readonly N: number;
  readonly d: number;
  readonly limits?: readonly number[];
  readonly mask?: readonly number[];
  readonly ranges?: readonly (readonly [number, number])[];
}

/** Tokens of scales 1, 4, 9: each sees its own scale and the coarser ones. */
const blocks = [1, ...new Array<number>(4).fill(5), ...new Array<number>(9).fill(14)];

/** A leading token that sees all, then segments of these lengths; each sees itself and the leading token. */
function segments(lengths: readonly number[]): [number, number][] {
  const total = lengths.reduce((sum, length) => sum + length, 1);
  let from = 1;
  return lengths.reduce<[number, number][]>(
    (rows, length) => {
      const range: [number, number] = [from, (from += length)];
      return [...rows, ...new Array<[number, number]>(length).fill(range)];
    },
    [[0, total]],
  );
}

const cases: Case[] = [
  { title: 'short segments after a leading token', B: 2, Lq: 12, Lk: 12, N: 2, d: 32, ranges: segments([4, 7]) },
  {
    title: 'segments with enough heads for all gradients at once',
    B: 2,
    Lq: 60,
    Lk: 60,
    N: 4,
    d: 32,
    ranges: segments([9, 50]),
  },
  { title: 'segments of many tiles', B: 1, Lq: 240, Lk: 240, N: 1, d: 32, ranges: segments([9, 70, 121, 39]) },
  {
    title: 'segments of a width that no subgroup shares',
    B: 1,
    Lq: 40,
    Lk: 40,
    N: 1,
    d: 12,
    ranges: segments([1, 38]),
  },
  {
    title: 'segments with padding keys',
    B: 2,
    Lq: 8,
    Lk: 8,
    N: 1,
    d: 32,
    ranges: segments([3, 4]),
    mask: [1, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1],
  },
  { title: 'one query, one key', B: 1, Lq: 1, Lk: 1, N: 1, d: 32 },
  { title: 'odd lengths', B: 2, Lq: 7, Lk: 77, N: 2, d: 32 },
  { title: 'block-causal', B: 2, Lq: 14, Lk: 14, N: 3, d: 64, limits: blocks },
  { title: 'a width that no subgroup shares', B: 1, Lq: 9, Lk: 9, N: 2, d: 12, limits: [1, 2, 3, 4, 5, 6, 7, 8, 9] },
  { title: 'padding keys', B: 2, Lq: 5, Lk: 6, N: 2, d: 32, mask: [1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 1] },
  {
    title: 'padding and causal',
    B: 2,
    Lq: 6,
    Lk: 6,
    N: 1,
    d: 64,
    limits: [1, 2, 3, 4, 5, 6],
    mask: [1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 0],
  },
  {
    title: 'a batch element whose keys are all masked',
    B: 2,
    Lq: 3,
    Lk: 4,
    N: 1,
    d: 32,
    mask: [0, 0, 0, 0, 1, 1, 1, 1],
  },
  { title: 'many tiles', B: 1, Lq: 41, Lk: 130, N: 1, d: 64 },
  { title: 'tall tiles', B: 1, Lq: 131, Lk: 137, N: 1, d: 32, limits: Array.from({ length: 131 }, (_, i) => i + 7) },
  { title: 'enough heads for all gradients at once', B: 2, Lq: 14, Lk: 14, N: 4, d: 64, limits: blocks },
  {
    title: 'the same, with padding and a query that sees nothing',
    B: 2,
    Lq: 3,
    Lk: 21,
    N: 5,
    d: 32,
    limits: [0, 2, 21],
    mask: [...new Array<number>(21).fill(1), ...Array.from({ length: 21 }, (_, i) => Number(i % 3 > 0))],
  },
];
const scale = 0.7;

function reference({ B, Lq, Lk, N, d, limits, mask, ranges }: Case): number[] {
  const [q, k, v] = ['q', 'k', 'v'].map((name) => hashedValues(name, B * (name === 'q' ? Lq : Lk) * N * d)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const out: number[] = [];
  const at = (L: number, b: number, l: number, n: number): number => ((b * L + l) * N + n) * d;
  for (let b = 0; b < B; b++)
    for (let i = 0; i < Lq; i++)
      for (let n = 0; n < N; n++) {
        const [from, to] = ranges?.[i] ?? [0, limits?.[i] ?? Lk];
        const keys = Array.from({ length: Lk }, (_, j) => j).filter(
          (j) => ((ranges && j === 0) || (j >= from && j < to)) && mask?.[b * Lk + j] !== 0,
        );
        const weights = keys.map((j) => {
          let dot = 0;
          for (let e = 0; e < d; e++) dot += q[at(Lq, b, i, n) + e]! * k[at(Lk, b, j, n) + e]!;
          return Math.exp(scale * dot);
        });
        const total = weights.reduce((s, w) => s + w, 0);
        for (let e = 0; e < d; e++)
          out.push(keys.reduce((s, j, at2) => s + (weights[at2]! / total) * v[at(Lk, b, j, n) + e]!, 0));
      }
  return out;
}

describeVariants('attention', (device) => {
  it.each(cases)('$title: equals the definition and its numerical gradients', async (given) => {
    const { B, Lq, Lk, N, d, limits, mask, ranges } = given;
    const options = {
      scale,
      ...(limits && { limits: tensor(limits, [Lq], { dtype: 'u32' }) }),
      ...(ranges && { ranges: tensor(ranges.flat(), [Lq, 2], { dtype: 'u32' }) }),
      ...(mask && { keyMask: tensor(mask, [B, Lk], { dtype: 'u32' }) }),
    };
    const inputs = [hashed('q', [B, Lq, N, d]), hashed('k', [B, Lk, N, d]), hashed('v', [B, Lk, N, d])];
    await expectClose(attention(inputs[0]!, inputs[1]!, inputs[2]!, options), reference(given), 1e-5);
    await gradcheck((q, k, v) => attention(q!, k!, v!, options), inputs);
  });

  it('reads the first rows of longer caches in place', async () => {
    const given = { title: '', B: 2, Lq: 5, Lk: 13, N: 2, d: 32 };
    const cached = (name: string): Tensor => {
      const cache = full([2, 21, 2, 32], 7);
      writeSlice(cache, hashed(name, [2, 13, 2, 32]), { axis: 1, start: 0 });
      return slice(cache, 1, 0, 13);
    };
    const [q, k, v] = [hashed('q', [2, 5, 2, 32]), cached('k'), cached('v')];
    const before = device().stats().dispatches;
    const o = attention(q, k, v, { scale });
    expect(device().stats().dispatches - before).toBe(1);
    await expectClose(o, reference(given), 1e-5);
  });

  it('gives the same gradients all at once as apart', async () => {
    const lengths = { q: 131, k: 137, v: 137, dy: 131 };
    const all = Object.entries(lengths).map(([name, L]) => hashed(name, [1, L, 10, 32]));
    for (const input of all) input.requiresGrad = true;
    const limits = tensor(
      Array.from({ length: 131 }, (_, i) => Math.min(137, 8 * Math.ceil((i + 1) / 8))),
      [131],
      { dtype: 'u32' },
    );
    const gradients = (heads: readonly Tensor[]): Tensor[] => {
      const [q, k, v, dy] = heads as [Tensor, Tensor, Tensor, Tensor];
      return vectorJacobian([attention(q, k, v, { scale, limits })], [dy], [q, k, v]);
    };
    const partOf = (input: Tensor, from: number): Tensor => {
      const part = detach(contiguous(slice(input, 2, from, from + 5)));
      part.requiresGrad = true;
      return part;
    };
    const halves = [0, 5].map((from) => gradients(all.map((input) => partOf(input, from))));
    for (const [i, together] of gradients(all).entries()) {
      const apart = concat([halves[0]![i]!, halves[1]![i]!], 2);
      // sums over keys in another order
      await expectClose(together, await apart.data(), 1e-6);
    }
  });

  it('runs in f16 where the adapter has it', async () => {
    const given = { title: '', B: 1, Lq: 9, Lk: 33, N: 2, d: 64 };
    const half = (name: string, L: number): ReturnType<typeof tensor> =>
      tensor(hashedValues(name, L * 128), [1, L, 2, 64], { dtype: device().profile.f16 ? 'f16' : 'f32' });
    // inputs are rounded to 11 bits
    await expectClose(attention(half('q', 9), half('k', 33), half('v', 33), { scale }), reference(given), 5e-3);
  });

  it('refuses shapes that do not fit', () => {
    const [q, k] = [hashed('q', [1, 2, 1, 8]), hashed('k', [1, 3, 1, 4])];
    expect(() => attention(q, k, k, { scale })).toThrow('attention: keys must be [1, Lk, 1, 8], got [1,3,1,4].');
    expect(() => attention(q, q, q, { scale, limits: tensor([1], [1], { dtype: 'u32' }) })).toThrow(
      'attention: limits must be u32 [2], got u32 [1].',
    );
    expect(() => attention(q, q, q, { scale, ranges: tensor([0, 2], [2], { dtype: 'u32' }) })).toThrow(
      'attention: ranges must be packed u32 [2, 2] and come without limits, got u32 [2].',
    );
  });
});

import { expect, it } from 'vitest';
import { describeVariants, expectClose, gradcheck, hashed, hashedValues } from '../testing/index.ts';
import { tensor } from '../tensor.ts';
import { attentionWeights } from './attention-weights.ts';

interface Case {
  readonly title: string;
  readonly B: number;
  readonly Lq: number;
  readonly Lk: number;
  readonly N: number;
  readonly d: number;
  readonly W: number;
  /** Keys of each batch element that are seen. */
  readonly mask?: readonly number[];
}

const cases: Case[] = [
  { title: 'one key is all there is', B: 1, Lq: 1, Lk: 1, N: 1, d: 4, W: 1 },
  { title: 'a text of 77 tokens', B: 2, Lq: 9, Lk: 77, N: 2, d: 32, W: 3 },
  { title: 'padding keys', B: 2, Lq: 5, Lk: 6, N: 3, d: 12, W: 2, mask: [1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 1] },
  { title: 'as many sets as channels', B: 1, Lq: 130, Lk: 7, N: 1, d: 8, W: 8 },
];
const scale = 0.7;

/** Key j is in set w of batch element b. */
const isIn = (b: number, w: number, j: number): number => Number((3 * b + 5 * w + 7 * j) % (w + 2) === 0);

const setsOf = ({ B, W, Lk }: Case): number[] =>
  Array.from({ length: B * W * Lk }, (_, i) => isIn(Math.floor(i / (W * Lk)), Math.floor(i / Lk) % W, i % Lk));

/** The matrix of weights by its definition, summed over each set. */
function reference({ B, Lq, Lk, N, d, W, mask }: Case): number[] {
  const [q, k] = [hashedValues('q', B * Lq * N * d), hashedValues('k', B * Lk * N * d)];
  const places = Array.from({ length: B * Lq * N }, (_, r) => [
    Math.floor(r / (Lq * N)),
    Math.floor(r / N) % Lq,
    r % N,
  ]);
  return (places as [number, number, number][]).flatMap(([b, i, n]) => {
    const weights = Array.from({ length: Lk }, (_, j) => {
      if (mask?.[b * Lk + j] === 0) return 0;
      let dot = 0;
      for (let e = 0; e < d; e++) dot += q[((b * Lq + i) * N + n) * d + e]! * k[((b * Lk + j) * N + n) * d + e]!;
      return Math.exp(scale * dot);
    });
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return Array.from({ length: W }, (_, w) =>
      weights.reduce((sum, weight, j) => sum + (isIn(b, w, j) * weight) / total, 0),
    );
  });
}

describeVariants('attentionWeights', () => {
  it.each(cases)('$title: sums the softmax weights of each set', async (given) => {
    const { B, Lq, Lk, N, d, W, mask } = given;
    const [q, k] = [hashed('q', [B, Lq, N, d]), hashed('k', [B, Lk, N, d])];
    const options = { scale, ...(mask && { keyMask: tensor(mask, [B, Lk], { dtype: 'u32' }) }) };
    const sets = tensor(setsOf(given), [B, W, Lk], { dtype: 'u32' });
    const weights = attentionWeights(q, k, sets, options);
    expect(weights.shape).toEqual([B, Lq, N, W]);
    await expectClose(weights, reference(given), 1e-5);
    await gradcheck((query, key) => attentionWeights(query!, key!, sets, options), [q, k]);
  });

  it('gives 1 for all keys that are seen, and 0 for none and for padding', async () => {
    const [q, k] = [hashed('q', [1, 3, 2, 8]), hashed('k', [1, 5, 2, 8])];
    const sets = tensor([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], [1, 3, 5]);
    const keyMask = tensor([1, 1, 1, 0, 0], [1, 5], { dtype: 'u32' });
    const want = Array.from({ length: 6 }, () => [1, 0, 0]).flat();
    await expectClose(attentionWeights(q, k, sets, { scale, keyMask }), want, 1e-6);
  });

  it('refuses more sets than a head has channels, and sets of other keys', () => {
    const [q, k] = [hashed('q', [1, 2, 1, 4]), hashed('k', [1, 3, 1, 4])];
    expect(() => attentionWeights(q, k, hashed('sets', [1, 5, 3]), { scale })).toThrow(
      'attentionWeights: sets must be [1, W, 3] with W from 1 to 4, got [1,5,3]. Ask for the others in another call.',
    );
    expect(() => attentionWeights(q, k, hashed('sets', [1, 2, 4]), { scale })).toThrow('got [1,2,4].');
  });
});

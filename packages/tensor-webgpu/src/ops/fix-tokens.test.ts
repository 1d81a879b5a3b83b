import { beforeAll, describe, expect, it } from 'vitest';
import { hostRandom } from '../nn/host-random.ts';
import { testDevice, valuesOf } from '../testing/index.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { fixTokens, type FixTokensOptions } from './fix-tokens.ts';

beforeAll(() => testDevice());

const words = (values: readonly number[], shape: readonly number[]): Tensor => tensor(values, shape, { dtype: 'u32' });

interface Rows {
  readonly tokens: readonly number[];
  readonly drawn: readonly number[];
  readonly scores: readonly number[];
}

const open = 99;

const fixed = async (
  { tokens, drawn, scores }: Rows,
  R: number,
  options: Pick<FixTokensOptions, 'count' | 'among'>,
): Promise<number[]> => {
  const shape = [R, tokens.length / R];
  const given = { drawn: words(drawn, shape), scores: tensor(scores, shape), open, ...options };
  return [...(await valuesOf(fixTokens(words(tokens, shape), given)))];
};

describe('fixTokens', () => {
  const rows: Rows = {
    tokens: [open, 7, open, open, 8, open],
    drawn: [1, 2, 3, 4, 5, 6],
    scores: [0.1, 0.9, 0.3, 0.3, 0.8, 0.2],
  };

  it('fixes the highest scores among open tokens, the lower index first on a tie', async () => {
    expect(await fixed(rows, 1, { count: 1, among: 'open' })).toEqual([open, 7, 3, open, 8, open]);
    expect(await fixed(rows, 1, { count: 3, among: 'open' })).toEqual([open, 7, 3, 4, 8, 6]);
  });

  it('lets fixed tokens take places up, and keeps them as they are, where all compete', async () => {
    expect(await fixed(rows, 1, { count: 2, among: 'all' })).toEqual(rows.tokens);
    expect(await fixed(rows, 1, { count: 3, among: 'all' })).toEqual([open, 7, 3, open, 8, open]);
  });

  it('fixes nothing for a count of 0, and all for more than there are', async () => {
    expect(await fixed(rows, 1, { count: 0, among: 'open' })).toEqual(rows.tokens);
    expect(await fixed(rows, 1, { count: 100, among: 'open' })).toEqual([1, 7, 3, 4, 8, 6]);
  });

  it('equals a sort, row by row, where many scores are equal', async () => {
    const [R, l, count] = [5, 333, 71];
    const random = hostRandom(3);
    const scores = Array.from({ length: R * l }, () => Math.floor(random.uniform() * 16) / 16);
    const tokens = Array.from({ length: R * l }, (_, i) => (random.uniform() < 0.3 ? i : open));
    const drawn = scores.map((_, i) => 1000 + i);
    const wanted = Array.from({ length: R }, (_, r) => {
      const row = tokens.slice(r * l, r * l + l).map((token, t) => ({ token, at: r * l + t }));
      const rivals = row.filter(({ token }) => token === open).toSorted((a, b) => scores[b.at]! - scores[a.at]!);
      const winners = new Set(rivals.slice(0, count).map(({ at }) => at));
      return row.map(({ token, at }) => (winners.has(at) ? drawn[at]! : token));
    }).flat();
    expect(await fixed({ tokens, drawn, scores }, R, { count, among: 'open' })).toEqual(wanted);
  });

  it('refuses what does not fit', () => {
    const tokens = words([1, 2], [1, 2]);
    const options = { drawn: tokens, scores: tensor([1, 2], [1, 2]), count: 1, open, among: 'open' as const };
    expect(() => fixTokens(tokens, { ...options, scores: tensor([1], [1, 1]) })).toThrow(
      'fixTokens: tokens, drawn and scores must be u32, u32 and f32 [R, l], got u32 [1,2], u32 [1,2], f32 [1,1].',
    );
    expect(() => fixTokens(tokens, { ...options, count: -1 })).toThrow(
      'fixTokens: count must be a whole number from 0, got -1.',
    );
  });
});

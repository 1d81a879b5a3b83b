import { describe, expect, it } from 'vitest';
import { codebookUsage } from './codebook-usage.ts';

describe('codebookUsage', () => {
  it('counts codes by scale and over all, from one batch after the other', async () => {
    async function* batches(): AsyncGenerator<Uint32Array[]> {
      yield [Uint32Array.of(3), Uint32Array.of(0, 1, 2, 3)];
      yield [Uint32Array.of(3), Uint32Array.of(4, 5, 6, 7)];
    }
    const { scales, overall } = await codebookUsage(batches(), { codebookSize: 16 });
    expect(scales[0]).toEqual({ tokens: 2, used: 1, share: 1 / 16, perplexity: 1 });
    expect(scales[1]).toMatchObject({ tokens: 8, used: 8, share: 0.5 });
    // Eight codes equally often are as varied as eight codes; float64.
    expect(scales[1]!.perplexity).toBeCloseTo(8, 12);
    expect(overall).toMatchObject({ tokens: 10, used: 8, share: 0.5 });
    const entropy = 0.3 * Math.log(10 / 3) + 7 * 0.1 * Math.log(10);
    expect(overall.perplexity).toBeCloseTo(Math.exp(entropy), 12);
  });

  it('of nothing is zero', async () => {
    const { scales, overall } = await codebookUsage([], { codebookSize: 5 });
    expect([scales, overall]).toEqual([[], { tokens: 0, used: 0, share: 0, perplexity: 0 }]);
  });

  it('refuses an index outside the codebook, and batches of other scales', async () => {
    await expect(codebookUsage([[[7]]], { codebookSize: 7 })).rejects.toThrow(
      'codebookUsage: indices must lie in 0..6, got 7. Give the codebookSize of the model.',
    );
    await expect(codebookUsage([[[1], [2]], [[1]]], { codebookSize: 7 })).rejects.toThrow(
      'codebookUsage: batches must have the same scales, got 1 after 2. Give all scales of each.',
    );
  });
});

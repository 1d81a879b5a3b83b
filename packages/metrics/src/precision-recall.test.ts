import { hashedValues, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { precisionRecall } from './precision-recall.ts';
import { rowsOf } from './testing/rows.ts';

beforeAll(async () => void (await testDevice()));

/** Share of vectors within the k-th neighbour's distance of some member of a set, pair by pair. */
function covered(vectors: Float32Array[], set: Float32Array[], k: number): number {
  const apart = (a: Float32Array, b: Float32Array): number =>
    a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
  const radii = set.map(
    (one) =>
      set
        .filter((other) => other !== one)
        .map((other) => apart(one, other))
        .sort((a, b) => a - b)[k - 1]!,
  );
  return vectors.filter((one) => set.some((other, i) => apart(one, other) <= radii[i]!)).length / vectors.length;
}

describe('precisionRecall', () => {
  it.each([
    [61, 47, 3],
    [530, 90, 1],
    [20, 600, 5],
  ])('equals the definition for %d samples, %d references and %d neighbours', async (first, second, k) => {
    const samples = rowsOf(hashedValues('samples', first * 8, 1.5), 8);
    const references = rowsOf(hashedValues('references', second * 8), 8);
    const found = await precisionRecall({ samples, references }, { neighbours: k });
    expect(found).toEqual({
      precision: covered(samples, references, k),
      recall: covered(references, samples, k),
      neighbours: k,
    });
  });

  it('has full precision and poor recall for one repeated kind, and neither for sets apart', async () => {
    const references = rowsOf(hashedValues('many', 40 * 4), 4);
    const one = rowsOf(hashedValues('one', 10 * 4, 0.01), 4).map((row) =>
      row.map((value, i) => value + references[7]![i]!),
    );
    const narrow = await precisionRecall({ samples: one, references });
    expect(narrow.precision).toBe(1);
    expect(narrow.recall).toBeLessThan(0.1);
    const away = references.map((row) => row.map((value) => value + 100));
    expect(await precisionRecall({ samples: away, references })).toMatchObject({ precision: 0, recall: 0 });
  });

  it('refuses sets that are too small for neighbours', async () => {
    const few = rowsOf(hashedValues('few', 12), 4);
    await expect(precisionRecall({ samples: few, references: few })).rejects.toThrow(
      'precisionRecall: samples must number at least 4, got 3. Add pictures.',
    );
  });
});

import { hashedValues, loadGoldenJson } from '@star-webgpu/tensor-webgpu/testing';
import { describe, expect, it } from 'vitest';
import { inceptionScore } from './inception-score.ts';
import { goldenFile } from './testing/golden-file.ts';
import { rowsOf } from './testing/rows.ts';

describe('inceptionScore', () => {
  it('equals the reference, in one split and in four', async () => {
    const golden = await loadGoldenJson<{ inception_score: Record<'splits1' | 'splits4', [number, number]> }>(
      goldenFile('frechet.json'),
    );
    const logits = rowsOf(
      Float32Array.from(hashedValues('is_logits', 400), (value) => 3 * value),
      10,
    );
    for (const splits of [1, 4] as const) {
      const { mean, deviation } = inceptionScore(logits, { splits });
      const [wantedMean, wantedDeviation] = golden.inception_score[`splits${splits}`];
      // float64 on both sides.
      expect(mean).toBeCloseTo(wantedMean, 11);
      expect(deviation).toBeCloseTo(wantedDeviation, 11);
    }
  });

  it('is 1 for pictures that look alike, and the number of classes for sure and varied ones', () => {
    const alike = Array.from({ length: 7 }, () => [1, 2, 3]);
    expect(inceptionScore(alike, { splits: 3 }).mean).toBeCloseTo(1, 12);
    const sure = Array.from({ length: 12 }, (_, i) => [0, 1, 2, 3].map((c) => (c === i % 4 ? 1000 : 0)));
    expect(inceptionScore(sure, { splits: 3 })).toEqual({
      mean: expect.closeTo(4, 10) as number,
      deviation: 0,
      splits: 3,
    });
  });

  it('refuses more splits than pictures', () => {
    expect(() => inceptionScore([[1, 2]])).toThrow(
      'inceptionScore: splits must lie in 1..1, the number of pictures, got 10. Add pictures or take fewer splits.',
    );
  });
});

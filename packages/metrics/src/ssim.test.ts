import { describe, expect, it } from 'vitest';
import type { Picture } from './picture.ts';
import { ssim } from './ssim.ts';
import { change, flat, noise, paint } from './testing/pictures.ts';

/** The definition, window by window: weighted means, variances around them, covariance. */
function ssimByDefinition(x: Picture, y: Picture): number {
  const scores: number[] = [];
  for (let top = 0; top + 11 <= x.height; top++)
    for (let left = 0; left + 11 <= x.width; left++)
      for (let channel = 0; channel < 3; channel++) scores.push(windowScore(x, y, { top, left, channel }));
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

function windowScore(x: Picture, y: Picture, at: { top: number; left: number; channel: number }): number {
  const places = Array.from({ length: 121 }, (_, i) => ({ row: Math.floor(i / 11), column: i % 11 }));
  const raw = places.map(({ row, column }) => Math.exp(-((row - 5) ** 2 + (column - 5) ** 2) / (2 * 1.5 ** 2)));
  const weights = raw.map((weight) => weight / raw.reduce((sum, value) => sum + value, 0));
  const valuesOf = ({ width, data }: Picture): number[] =>
    places.map(({ row, column }) => data[((at.top + row) * width + at.left + column) * 3 + at.channel]!);
  const weighted = (values: readonly number[]): number =>
    values.reduce((sum, value, i) => sum + value * weights[i]!, 0);
  const [a, b] = [valuesOf(x), valuesOf(y)];
  const [meanA, meanB] = [weighted(a), weighted(b)];
  const spread = (u: readonly number[], meanU: number, v: readonly number[], meanV: number): number =>
    weighted(u.map((value, i) => (value - meanU) * (v[i]! - meanV)));
  const [c1, c2] = [6.5025, 58.5225];
  const above = (2 * meanA * meanB + c1) * (2 * spread(a, meanA, b, meanB) + c2);
  return above / ((meanA ** 2 + meanB ** 2 + c1) * (spread(a, meanA, a, meanA) + spread(b, meanB, b, meanB) + c2));
}

describe('ssim', () => {
  const picture = paint(17, 13, (x, y, channel) => (x * 11 + y * (7 + channel) * 3) % 256);

  it('of equal pictures is 1', () => {
    expect(ssim(picture, picture)).toBeCloseTo(1, 12);
  });

  it.each([
    ['a little noise', change(picture, (i) => (i * 37) % 19)],
    ['another picture', noise(17, 13, 2)],
    ['its negative', change(picture, (i) => 255 - 2 * picture.data[i]!)],
  ])('equals the definition for %s', (_, other) => {
    // Both in float64; variances by differences of squares lose about six of sixteen digits.
    expect(ssim(picture, other)).toBeCloseTo(ssimByDefinition(picture, other), 9);
  });

  it('of two flat pictures is the luminance term alone', () => {
    expect(ssim(flat(11, 11, 100), flat(11, 11, 50))).toBeCloseTo((2 * 5000 + 6.5025) / (12_500 + 6.5025), 9);
  });

  it('falls with the noise', () => {
    const noisy = (strength: number): Picture => change(picture, (i) => ((i * 7919) % (2 * strength + 1)) - strength);
    expect(ssim(picture, noisy(5))).toBeGreaterThan(ssim(picture, noisy(40)));
  });

  it('refuses pictures smaller than its window', () => {
    expect(() => ssim(flat(10, 30, 0), flat(10, 30, 0))).toThrow(
      'ssim: sides must be at least 11, got 10x30. Enlarge both.',
    );
  });
});

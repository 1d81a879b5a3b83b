import { describe, expect, it } from 'vitest';
import type { Picture } from './picture.ts';
import { measureReconstruction } from './reconstruction.ts';
import { flat, noise } from './testing/pictures.ts';

describe('measureReconstruction', () => {
  it('averages over pictures, and over their errors', async () => {
    async function* pairs(): AsyncGenerator<readonly [Picture, Picture]> {
      yield [flat(11, 12, 110), flat(11, 12, 100)];
      yield [flat(11, 12, 101), flat(11, 12, 100)];
    }
    const { count, psnr, psnrOfMeanError } = await measureReconstruction(pairs());
    expect(count).toBe(2);
    expect(psnr).toBeCloseTo(20 * Math.log10(255) - 10, 10);
    expect(psnrOfMeanError).toBeCloseTo(10 * Math.log10(255 ** 2 / 50.5), 10);
  });

  it('of perfect pictures is infinite, with similarity 1', async () => {
    const report = await measureReconstruction([[noise(16, 11, 1), noise(16, 11, 1)]]);
    expect([report.psnr, report.psnrOfMeanError]).toEqual([Infinity, Infinity]);
    expect(report.ssim).toBeCloseTo(1, 12);
  });

  it('of nothing is not a number', async () => {
    expect(await measureReconstruction([])).toEqual({ count: 0, psnr: NaN, psnrOfMeanError: NaN, ssim: NaN });
  });
});

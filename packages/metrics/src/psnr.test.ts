import { describe, expect, it } from 'vitest';
import { meanSquaredError, psnr, psnrOfError } from './psnr.ts';
import { flat, noise, paint } from './testing/pictures.ts';

describe('psnr', () => {
  it.each([1, 5, 255])('of a constant difference d is 20 log10(255 / d): %d', (difference) => {
    // Formula in float64: only the last digits differ.
    expect(psnr(flat(7, 3, difference), flat(7, 3, 0))).toBeCloseTo(20 * Math.log10(255 / difference), 10);
  });

  it('of equal pictures is infinite', () => {
    expect(psnr(noise(5, 9, 1), noise(5, 9, 1))).toBe(Number.POSITIVE_INFINITY);
  });

  it('counts all three channels', () => {
    const oneChannel = paint(2, 2, (_x, _y, channel) => (channel === 1 ? 30 : 0));
    expect(meanSquaredError(oneChannel, flat(2, 2, 0))).toBe(300);
    expect(psnrOfError(6.5025)).toBeCloseTo(40, 10);
  });

  it('refuses pictures of two sizes, and bytes that do not fill one', () => {
    expect(() => psnr(flat(2, 3, 0), flat(3, 2, 0))).toThrow(
      'meanSquaredError: pictures must have one size, got 2x3 and 3x2. Resize one.',
    );
    const transparent = { width: 2, height: 2, data: new Uint8Array(16) };
    expect(() => psnr(transparent, transparent)).toThrow(
      'meanSquaredError: data must hold 12 bytes for 2x2 RGB, got 16. Drop an alpha channel first.',
    );
  });
});

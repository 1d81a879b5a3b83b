import { describe, expect, it } from 'vitest';
import { latentSize, patchNumberPresets, ratios, tokenCount, tokenMaps, tokenOffsets, tokenScales } from './scales.ts';

const presets = Object.entries(patchNumberPresets);
const inWords = (patchNumbers: readonly number[], ratio: (typeof ratios)[number]): string =>
  tokenMaps(patchNumbers, latentSize(patchNumbers, ratio))
    .map(({ height, width }) => `${width}x${height}`)
    .join(' ');

describe('token maps', () => {
  it.each(presets)('of square pictures have the patch numbers as sides: %s', (_, patchNumbers) => {
    const squares = patchNumbers.map((side) => ({ height: side, width: side }));
    expect(tokenMaps(patchNumbers)).toEqual(squares);
    expect(tokenMaps(patchNumbers, latentSize(patchNumbers, '1:1'))).toEqual(squares);
  });

  it('of the ratios are those that the docs print', () => {
    expect((['4:3', '3:2', '16:9'] as const).map((ratio) => inWords(patchNumberPresets['256'], ratio))).toEqual([
      '1x1 2x2 3x3 5x4 6x4 7x5 9x7 11x9 15x11 18x14',
      '1x1 3x2 4x2 5x3 6x4 8x5 10x7 13x8 16x11 20x13',
      '1x1 3x2 4x2 5x3 7x4 8x5 11x6 13x8 17x10 21x12',
    ]);
    expect((['4:3', '3:2', '16:9'] as const).map((ratio) => inWords(patchNumberPresets['512'], ratio))).toEqual([
      '1x1 2x2 3x3 5x4 7x5 10x8 15x11 21x16 28x21 37x28',
      '1x1 2x2 4x2 5x3 7x5 11x7 16x11 22x15 29x20 39x26',
      '1x1 3x2 4x2 5x3 8x5 12x7 17x10 24x14 32x18 43x24',
    ]);
    expect((['4:3', '3:2', '16:9'] as const).map((ratio) => inWords(patchNumberPresets['1024'], ratio))).toEqual([
      '1x1 2x2 3x3 5x3 6x4 8x6 10x8 14x10 19x14 24x18 31x23 42x31 56x41 74x55',
      '1x1 2x2 4x2 5x3 6x4 9x6 11x7 15x10 20x13 26x17 33x22 44x29 59x39 78x52',
      '1x1 3x2 4x2 5x3 7x4 9x5 12x7 16x9 21x12 28x16 36x20 48x27 64x36 85x48',
    ]);
  });

  it.each(presets)('of a ratio and of its inverse are each other turned: %s', (_, patchNumbers) => {
    for (const ratio of ratios) {
      const inverse = ratio.split(':').toReversed().join(':') as typeof ratio;
      const turned = tokenMaps(patchNumbers, latentSize(patchNumbers, inverse)).map(({ height, width }) => ({
        height: width,
        width: height,
      }));
      expect(tokenMaps(patchNumbers, latentSize(patchNumbers, ratio))).toEqual(turned);
    }
  });

  it.each(presets)('grow from scale to scale, to about the square number of tokens: %s', (_, patchNumbers) => {
    for (const ratio of ratios) {
      const latent = latentSize(patchNumbers, ratio);
      const maps = tokenMaps(patchNumbers, latent);
      maps.slice(1).forEach(({ height, width }, i) => {
        expect(height).toBeGreaterThanOrEqual(maps[i]!.height);
        expect(width).toBeGreaterThanOrEqual(maps[i]!.width);
        expect(height * width).toBeGreaterThan(maps[i]!.height * maps[i]!.width);
      });
      expect(maps.at(-1)).toEqual(latent);
      // Half a token each way is at most 4% of 16 tokens; small maps round more.
      expect(Math.abs(tokenCount(patchNumbers, latent) / tokenCount(patchNumbers) - 1)).toBeLessThan(0.04);
    }
  });

  it('follow each other in the sequence', () => {
    const latent = { height: 3, width: 5 };
    expect(tokenMaps([1, 2, 4], latent)).toEqual([{ height: 1, width: 1 }, { height: 2, width: 3 }, latent]);
    expect(tokenOffsets([1, 2, 4], latent)).toEqual([0, 1, 7, 22]);
    expect(tokenScales([1, 2, 4], latent)).toEqual([0, ...new Array(6).fill(1), ...new Array(15).fill(2)]);
  });

  it('have at least one token, however flat the picture, and one only at patch number 1', () => {
    expect(tokenMaps([1, 2, 8], { height: 1, width: 32 })).toEqual([
      { height: 1, width: 1 },
      { height: 1, width: 8 },
      { height: 1, width: 32 },
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import type { DrawnScale } from '../painter/painter.ts';
import { mapsOf, spotlight } from './spotlight.ts';

const pixels = { width: 1, height: 1, data: new Uint8ClampedArray(4) };
const scaleOf = (scale: number, side: number, shares: readonly number[]): DrawnScale => ({
  scale,
  milliseconds: 1,
  pixels,
  words: [{ word: 'apple', width: side, height: side, shares: Float32Array.from(shares) }],
});
const scales = [scaleOf(0, 1, [0.5]), scaleOf(1, 2, [0.1, 0.3, 0.1, 0.1]), scaleOf(2, 2, [0.1, 0.1, 0.2, 0.1])];

describe('a spotlight', () => {
  it('has the maps of one scale or of all, but for single tokens', () => {
    expect(mapsOf(scales, 'apple')).toHaveLength(2);
    expect(mapsOf(scales, 'apple', 2)).toEqual(scales[2]!.words);
    expect(mapsOf(scales, 'apple', 0)).toEqual([]);
    expect(mapsOf(scales, 'pear')).toEqual([]);
  });

  it('is clear where the word gets most attention and darkest where it gets least', () => {
    const { width, height, data } = spotlight(mapsOf(scales, 'apple', 1));
    const opacity = (x: number, y: number): number => data[(y * width + x) * 4 + 3]!;
    expect(opacity(width - 1, 0)).toBe(0);
    expect(opacity(0, height - 1)).toBe(209);
    expect(opacity(width / 2, 0)).toBeGreaterThan(90);
    expect(opacity(width / 2, 0)).toBeLessThan(120);
  });

  it('gives each scale the same say', () => {
    const { width, height, data } = spotlight(mapsOf(scales, 'apple'));
    expect(data[(width - 1) * 4 + 3]).toBe(0);
    expect(data[(height - 1) * width * 4 + 3]).toBe(0);
    expect(data[(height * width - 1) * 4 + 3]).toBe(209);
  });
});

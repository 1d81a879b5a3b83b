import { describe, expect, it } from 'vitest';
import type { WordMap } from '../painter/painter.ts';
import { mapsOf, spotlight } from './spotlight.ts';

const mapOf = (scale: number, side: number, shares: readonly number[]): WordMap => ({
  word: 'apple',
  scale,
  width: side,
  height: side,
  shares: Float32Array.from(shares),
});
const maps = [mapOf(0, 1, [0.5]), mapOf(1, 2, [0.1, 0.3, 0.1, 0.1]), mapOf(2, 2, [0.1, 0.1, 0.2, 0.1])];

describe('a spotlight', () => {
  it('has the maps of one scale or of all, but for single tokens', () => {
    expect(mapsOf(maps, 'apple')).toHaveLength(2);
    expect(mapsOf(maps, 'apple', 2)).toEqual([maps[2]]);
    expect(mapsOf(maps, 'apple', 0)).toEqual([]);
    expect(mapsOf(maps, 'pear')).toEqual([]);
  });

  it('is clear where the word gets most attention and darkest where it gets least', () => {
    const { width, height, data } = spotlight(mapsOf(maps, 'apple', 1));
    const opacity = (x: number, y: number): number => data[(y * width + x) * 4 + 3]!;
    expect(opacity(width - 1, 0)).toBe(0);
    expect(opacity(0, height - 1)).toBe(209);
    expect(opacity(width / 2, 0)).toBeGreaterThan(90);
    expect(opacity(width / 2, 0)).toBeLessThan(120);
  });

  it('gives each scale the same say', () => {
    const { width, height, data } = spotlight(mapsOf(maps, 'apple'));
    expect(data[(width - 1) * 4 + 3]).toBe(0);
    expect(data[(height - 1) * width * 4 + 3]).toBe(0);
    expect(data[(height * width - 1) * 4 + 3]).toBe(209);
  });
});

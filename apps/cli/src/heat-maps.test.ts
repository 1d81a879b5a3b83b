import { describe, expect, it } from 'vitest';
import type { Pictures } from '@star-webgpu/sampler';
import { heatTiles } from './heat-maps.ts';

const picture = { count: 1, width: 6, height: 5, data: new Uint8Array(90).fill(100) };

/** Mean of the channels in a corner of a tile. */
const brightness = ({ width, height, data }: Pictures, corner: 'first' | 'last'): number => {
  const at = 3 * (corner === 'first' ? 0 : width * height - 1);
  return (data[at]! + data[at + 1]! + data[at + 2]!) / 3;
};

describe('heatTiles', () => {
  it('gives the picture, an overlay a scale of more than one token, and their mean, all of one size', async () => {
    const tiles = await heatTiles(picture, [
      { scale: 0, width: 1, height: 1, shares: [0.4] },
      { scale: 1, width: 2, height: 2, shares: [0.1, 0.2, 0.1, 0.5] },
      { scale: 2, width: 3, height: 2, shares: [0, 0, 0, 0, 0, 0.9] },
    ]);
    expect(tiles.map(({ width, height, data }) => [width, height, data.length])).toEqual(
      new Array(4).fill([156, 130, 156 * 130 * 3]),
    );
    expect(new Set(tiles[0]!.data)).toEqual(new Set([100]));
    for (const tile of tiles.slice(1)) expect(brightness(tile, 'last')).toBeGreaterThan(brightness(tile, 'first') + 80);
  });

  it('is dark all over where a word gets the same everywhere', async () => {
    const [, even, mean] = await heatTiles(picture, [{ scale: 0, width: 2, height: 1, shares: [0.3, 0.3] }]);
    for (const tile of [even!, mean!]) expect([...new Set(tile.data)].sort((a, b) => a - b)).toEqual([35, 38]);
  });
});

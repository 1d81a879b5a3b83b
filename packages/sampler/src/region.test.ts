import { describe, expect, it } from 'vitest';
import type { Pictures } from './image.ts';
import { boxRegion, pasteOutside, type Region, tokenWeights, wholeRegion } from './region.ts';

const picture = (size: { width: number; height: number }, value: (i: number) => number): Pictures => ({
  count: 1,
  ...size,
  data: Uint8Array.from({ length: 3 * size.width * size.height }, (_, i) => value(i)),
});

/** Average of a region over a cell, by sampling it finely. */
function sampled({ data, height, width }: Region, map: number, cell: number): number {
  const steps = 60;
  let sum = 0;
  for (let i = 0; i < steps; i++)
    for (let j = 0; j < steps; j++) {
      const y = ((Math.floor(cell / map) + (i + 0.5) / steps) / map) * height;
      const x = (((cell % map) + (j + 0.5) / steps) / map) * width;
      sum += data[Math.floor(y) * width + Math.floor(x)]!;
    }
  return sum / steps ** 2;
}

describe('tokenWeights', () => {
  const size = { width: 15, height: 10 };
  const region = boxRegion({ left: 3, top: 2, width: 7, height: 20 }, size);

  it('keeps what the region does not cover by more than half, at every scale', () => {
    const weights = tokenWeights(region, [1, 2, 3, 5]);
    const soft = tokenWeights(region, [1, 2, 3, 5], { feather: true });
    let at = 0;
    for (const map of [1, 2, 3, 5])
      for (let cell = 0; cell < map * map; cell++, at++) {
        const share = sampled(region, map, cell);
        // cells cut pixels into thirds and fifths, which 60 steps a side hit exactly
        expect(soft[at]).toBeCloseTo(1 - share, 5);
        expect(weights[at]).toBe(share <= 0.5 ? 1 : 0);
      }
    expect(at).toBe(weights.length);
  });

  it('keeps all of the first scales where that is asked for', () => {
    expect([...tokenWeights(wholeRegion(size), [1, 2], { keepScales: 1 })]).toEqual([1, 0, 0, 0, 0]);
  });

  it('draws a token from another share on', () => {
    const half = boxRegion({ left: 0, top: 0, width: 6, height: 10 }, size);
    expect([...tokenWeights(half, [1])]).toEqual([1]);
    expect([...tokenWeights(half, [1], { redrawFrom: 0.3 })]).toEqual([0]);
  });
});

describe('pasteOutside', () => {
  const size = { width: 12, height: 9 };
  const [original, edited] = [picture(size, (i) => i % 100), picture(size, (i) => 255 - (i % 50))];
  const box = { left: 2, top: 0, width: 7, height: 6 };

  it.each([0, 1, 3])('changes no pixel outside the region, and the middle wholly, with a seam of %i', (seam) => {
    const { data } = pasteOutside(original, edited, boxRegion(box, size), seam);
    for (const [i, value] of data.entries()) {
      const [x, y] = [Math.floor(i / 3) % 12, Math.floor(i / 36)];
      const inside = x >= 2 && x < 9 && y < 6;
      if (!inside) expect(value).toBe(original.data[i]);
      if (seam === 0 && inside) expect(value).toBe(edited.data[i]);
    }
    const middle = 3 * (12 * 2 + 5);
    expect(data[middle]).toBe(edited.data[middle]);
  });

  it('has no seam at the edge of the picture', () => {
    expect(pasteOutside(original, edited, wholeRegion(size), 4).data).toEqual(edited.data);
  });
});

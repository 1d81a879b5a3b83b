import { describe, expect, it } from 'vitest';
import { loadGoldenJson } from '@star-webgpu/tensor-webgpu/testing';
import { tokenCounts } from './token-counts.ts';

describe('tokenCounts', () => {
  it('equals the published schedule for every published side and number of steps', async () => {
    const { counts } = await loadGoldenJson<{ counts: Record<string, number[]> }>(
      new URL('../test/golden/mask_schedule.json', import.meta.url),
    );
    expect(Object.keys(counts).length).toBeGreaterThan(20);
    for (const [name, wanted] of Object.entries(counts)) {
      const [steps, side] = name.split('.').map(Number) as [number, number];
      expect(tokenCounts(side * side, steps), name).toEqual(wanted);
    }
  });

  it('fixes every token once, whatever the size, in no more steps than there are tokens', () => {
    for (const tokens of [1, 2, 3, 7, 8, 9, 16, 35, 77, 4096])
      for (const steps of [1, 2, 5, 8, 15]) {
        const counts = tokenCounts(tokens, steps);
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(tokens);
        expect(Math.min(...counts)).toBeGreaterThan(0);
        expect(counts.length).toBeLessThanOrEqual(Math.min(steps, tokens));
      }
  });
});

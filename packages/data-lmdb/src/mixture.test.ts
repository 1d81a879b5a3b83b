import { describe, expect, it } from 'vitest';
import { weightedMixture } from './mixture.ts';
import { range } from './order.ts';

const size = { height: 4, width: 4 };
const wide = { height: 4, width: 8 };

/** Items visited in some epochs of a bucket, in the order of their places. */
function visitsOf(mixture: ReturnType<typeof weightedMixture>, bucket: number, epochs: number): number[] {
  return range(0, epochs).flatMap((epoch) =>
    range(0, mixture.counts[bucket] as number).map((place) => mixture.visitAt({ bucket, place, epoch }).item),
  );
}

describe('weightedMixture', () => {
  it('gives each source its share of an epoch, whatever the sources hold', () => {
    const sources = [...new Array<number>(90).fill(0), ...new Array<number>(10).fill(1)];
    const mixture = weightedMixture([{ size, members: range(0, 100) }], { sources, weights: [1, 3], seed: 1 });
    expect(mixture.counts).toEqual([100]);
    const own = visitsOf(mixture, 0, 1).map((item) => sources[item]);
    expect(own.filter((source) => source === 1)).toHaveLength(75);
  });

  it('goes through all items of a source before any comes again, in another order each time', () => {
    const sources = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1];
    const mixture = weightedMixture([{ size, members: range(0, 12) }], { sources, weights: [5, 1], seed: 3 });
    const visits = visitsOf(mixture, 0, 14);
    for (const [source, members] of [range(0, 5), range(5, 12)].entries()) {
      const own = visits.filter((item) => sources[item] === source);
      const passes = range(0, Math.floor(own.length / members.length)).map((pass) =>
        own.slice(pass * members.length, (pass + 1) * members.length),
      );
      for (const pass of passes) expect(pass.toSorted((a, b) => a - b)).toEqual(members);
      expect(new Set(passes.map(String)).size).toBeGreaterThan(passes.length / 2);
    }
  });

  it('shares out buckets too, and leaves nothing unseen that is there', () => {
    const sources = [0, 0, 0, 1, 1, 1];
    const buckets = [
      { size, members: [0, 1, 3, 4] },
      { size: wide, members: [2, 5] },
    ];
    const mixture = weightedMixture(buckets, { sources, weights: [1, 1000], seed: 3 });
    expect(mixture.counts).toEqual([1 + 4, 1 + 2]);
    expect(new Set(visitsOf(mixture, 0, 2))).toEqual(new Set([0, 1, 3, 4]));
    expect(new Set(visitsOf(mixture, 1, 1))).toEqual(new Set([2, 5]));
  });
});

import { describe, expect, it } from 'vitest';
import { hostTimeOf, stepTime, stretched, type Timeline } from './simulate.ts';

const timeline: Timeline = {
  buckets: [
    { bytes: 800, ready: 10 },
    { bytes: 1600, ready: 20 },
  ],
  end: 25,
};
const free = { latency: 0, bandwidth: Infinity };

describe('a step on many ranks', () => {
  it('takes what one rank takes where sums cost nothing', () => {
    expect(stepTime(timeline, 8, free, () => 0)).toBe(25);
  });

  it('hides the sum of a bucket behind what is computed meanwhile, but not the last one', () => {
    // 10 + 6 is over before 20: 20 + 6 for the last bucket, 5 for the update, 6 for the small numbers
    expect(stepTime(timeline, 8, free, () => 6)).toBe(37);
  });

  it('lets a bucket wait for the one before it', () => {
    // 10 + 15 is over at 25, behind 20: 25 + 15, 5 for the update, 15 for the small numbers
    expect(stepTime(timeline, 8, free, () => 15)).toBe(60);
  });

  it('sends all but a rank’s own part twice', () => {
    const network = { latency: 1, bandwidth: 100 };
    const small = 2 * (1 + (4096 * 7) / 8 / 100);
    // 10 + 2 (1 + 7) is over at 26, behind 20; the last bucket takes 2 (1 + 14)
    expect(stepTime(timeline, 8, network, () => 0)).toBeCloseTo(26 + 30 + 5 + small, 9);
  });

  it('waits longer for its sums where it computes faster', () => {
    const quick = stretched(timeline, 0.1);
    expect(quick.end).toBe(2.5);
    expect(stepTime(quick, 8, free, () => 6)).toBe(1 + 6 + 6 + 0.5 + 6);
  });
});

describe('hostTimeOf', () => {
  it('lies on the line between measured sizes, and goes on with the outer ones', () => {
    const time = hostTimeOf([10, 20, 40], [1, 2, 6]);
    expect([10, 15, 30, 40, 50, 5].map(time)).toEqual([1, 1.5, 4, 6, 8, 0.5]);
  });
});

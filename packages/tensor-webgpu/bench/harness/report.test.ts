import { describe, expect, it } from 'vitest';
import { reportOf } from './report.ts';
import type { RowResult } from './run-row.ts';

const result: RowResult = {
  name: 'row',
  about: 'peers do twice the work',
  goal: 3,
  timed: [
    { name: 'ours', kind: 'ours', rounds: 9, best: 10, median: 11, flops: 1e9 },
    { name: 'slow', kind: 'webgpu', rounds: 9, best: 90, median: 99, flops: 2e9, error: 1e-6 },
    { name: 'fast', kind: 'webgpu', rounds: 9, best: 50, median: 77, flops: 2e9, error: 1e-6 },
  ],
  notRun: [{ name: 'broken', why: 'its device was lost' }],
};

describe('reportOf', () => {
  it('holds the goal against the best peer, for the same amount of work', () => {
    // 50 ms for twice the work against 10 ms; by the medians 77 against 11.
    expect(reportOf(result)).toContain('goal 3x the best webgpu peer: 2.50x fast (medians 3.50x), NOT reached');
  });

  it('names a peer that could not run, with its reason', () => {
    expect(reportOf(result)).toMatch(/broken\s+not run: its device was lost/);
  });
});

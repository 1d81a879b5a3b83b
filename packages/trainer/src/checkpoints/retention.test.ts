import { describe, expect, it } from 'vitest';
import { bestOf, dispensable } from './retention.ts';
import type { TrainingState } from './state.ts';

const state = (step: number, more: Partial<TrainingState> = {}): TrainingState => ({
  stage: 'x',
  step,
  cursor: { epoch: 0, step },
  seed: 1,
  ...more,
});
const steps = [10, 20, 30, 40, 50];
const scored = steps.map((step, i) => state(step, { score: [3, 1, 2, 1, 5][i]! }));

describe('rotation of checkpoints', () => {
  it('keeps the newest ones, at least one', () => {
    expect(dispensable(scored, { keep: 2 })).toEqual([30, 20, 10]);
    expect(dispensable(scored, { keep: 0 })).toEqual([40, 30, 20, 10]);
    expect(dispensable(scored, { keep: 9 })).toEqual([]);
  });

  it('keeps milestones for ever, of which step 0 is none', () => {
    expect(dispensable([state(0), ...scored], { keep: 1, milestoneEvery: 20 })).toEqual([30, 10, 0]);
  });

  it('keeps the best one, by lower or higher scores; of equal ones the older', () => {
    expect(dispensable(scored, { keep: 1, best: 'lower' })).toEqual([40, 30, 10]);
    expect(dispensable(scored, { keep: 2, best: 'higher' })).toEqual([30, 20, 10]);
    expect(bestOf(scored, 'lower')!.step).toBe(20);
    expect(bestOf([state(1), state(2)], 'lower')).toBeUndefined();
  });

  it('keeps the newest one that no spike casts doubt on', () => {
    const doubtful = [10, 20, 30].map((step) => state(step, { guard: { losses: [], streak: step > 15 ? 1 : 0 } }));
    expect(dispensable(doubtful, { keep: 1 })).toEqual([20]);
  });
});

import { describe, expect, it } from 'vitest';
import { SpikeGuard } from './spike-guard.ts';

const options = { factor: 4, patience: 2, window: 5, rollbacks: 1 };
const fed = (losses: readonly number[], more: Partial<typeof options> = {}): SpikeGuard => {
  const guard = new SpikeGuard({ ...options, ...more });
  for (const loss of losses) guard.hasDiverged(loss);
  return guard;
};

describe('SpikeGuard', () => {
  it('draws the limit at the median plus a factor of 1.4826 times the median absolute deviation, of the newest losses', () => {
    // median 3, absolute deviations 2, 1, 0, 1, 4: their median is 1
    expect(fed([100, 1, 2, 3, 4, 7], { factor: 1000 }).limit).toBeCloseTo(3 + 1000 * 1.4826, 10);
    expect(fed([2, 2, 2, 2, 2]).limit).toBeCloseTo(2 + 4 * 0.02, 10);
  });

  it('has no limit until half a window is known, which a loss that is not finite does not wait for', () => {
    const guard = fed([1, 1]);
    expect(guard.limit).toBe(Number.POSITIVE_INFINITY);
    expect([Number.NaN, Number.NaN].map((loss) => guard.hasDiverged(loss))).toEqual([false, true]);
  });

  it('has diverged at so many spikes in a row; a good loss between begins anew, and spikes do not move the limit', () => {
    const guard = fed([1, 1, 1, 1, 1]);
    const { limit } = guard;
    expect([9, 1, 9, Number.POSITIVE_INFINITY].map((loss) => guard.hasDiverged(loss))).toEqual([
      false,
      false,
      false,
      true,
    ]);
    expect(guard.limit).toBe(limit);
    expect(guard.streak).toBe(2);
  });

  it('goes on from its state, by way of JSON, as if it had never stopped', () => {
    const guard = fed([1.1, 0.9, 1, 1.05, 9]);
    const other = new SpikeGuard(options);
    other.load(JSON.parse(JSON.stringify(guard.state())) as ReturnType<SpikeGuard['state']>);
    expect([other.limit, other.streak]).toEqual([guard.limit, 1]);
    expect(other.hasDiverged(9)).toBe(true);
  });
});

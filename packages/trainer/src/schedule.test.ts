import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ScheduleKind, scheduleAt } from './schedule.ts';

interface Golden {
  readonly peak_lr: number;
  readonly wd: number;
  readonly wd_end: number;
  readonly warmup_iters: number;
  readonly max_iters: number;
  readonly wp0: number;
  readonly wpe: number;
  readonly rows_iter_lr_wd: Readonly<Record<string, readonly (readonly [step: number, rate: number, decay: number])[]>>;
}

const golden = JSON.parse(
  readFileSync(new URL('../test/golden/lr_wd_schedule.json', import.meta.url), 'utf8'),
) as Golden;
const base = {
  peak: golden.peak_lr,
  warmup: golden.warmup_iters,
  start: golden.wp0,
  end: golden.wpe,
  steps: golden.max_iters,
  weightDecay: golden.wd,
  weightDecayEnd: golden.wd_end,
};

describe('schedules', () => {
  it.each(Object.entries(golden.rows_iter_lr_wd))('%s equals the published rates and decays', (kind, rows) => {
    for (const [step, rate, decay] of rows) {
      const got = scheduleAt({ ...base, kind: kind as ScheduleKind }, step);
      expect(Math.abs(got.learningRate - rate)).toBeLessThan(1e-12 + 1e-9 * rate);
      expect(Math.abs(got.weightDecay - decay)).toBeLessThan(1e-9);
    }
  });

  it('refuses a kind that does not exist', () => {
    expect(() => scheduleAt({ ...base, kind: 'step' as ScheduleKind }, 50)).toThrow(
      'schedule: kind must be cos, lin, lin0, lin00, exp or lin followed by a number in 0..1, got step.',
    );
  });
});

import { describe, expect, it } from 'vitest';
import { Score } from './score.ts';

describe('the score of a checkpoint', () => {
  it('is the mean since the one before, of finite numbers alone', () => {
    const score = new Score('psnr');
    expect(score.take()).toBeUndefined();
    for (const psnr of [10, NaN, 14]) score.note({ psnr, loss: 1 });
    score.note({ loss: 1 });
    expect(score.take()).toBe(12);
    expect(score.take()).toBeUndefined();
    score.note({ psnr: 3 });
    expect(score.take()).toBe(3);
  });

  it('says which numbers there are, if none has its name', () => {
    const score = new Score('pnsr');
    expect(score.missing()).toBeUndefined();
    score.note({ psnr: 10, loss: 1 });
    expect(score.missing()).toBe(
      'best.metric must be a number that steps have, got pnsr, so no checkpoint is the best so far; there are loss, psnr',
    );
    score.note({ pnsr: 1 });
    expect(score.missing()).toBeUndefined();
  });
});

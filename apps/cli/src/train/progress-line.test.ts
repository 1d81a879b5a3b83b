import { describe, expect, it } from 'vitest';
import { evaluationLine, progressLine } from './progress-line.ts';

const report = {
  step: 600,
  steps: 5400,
  epoch: 3,
  loss: 4.12345,
  gradientNorm: 1,
  learningRate: 1e-3,
  skipped: 0,
  imagesPerSecond: 2.44,
  eta: 3700,
  metrics: { lastScale: 4.5, 'scaleLoss/1': 3, accuracy: 0.03125, lossScale: 2048, tiny: 1e-7 },
};

describe('the progress line', () => {
  it('shows all numbers but those of single scales where there is room, as in a file', () => {
    expect(progressLine(report)).toBe(
      'step 600/5400  loss 4.1235  lastScale 4.5000  accuracy 0.0313  lossScale 2048.0000  tiny 1.00e-7  2.4 images/s  1 h 1 min left',
    );
  });

  it('leaves the last numbers out on a terminal of 80 columns, and never the loss, the pace and the time left', () => {
    expect(progressLine(report, 80)).toBe('step 600/5400  loss 4.1235  lastScale 4.5000  2.4 images/s  1 h 1 min left');
    for (const columns of [80, 90, 120]) expect(progressLine(report, columns).length).toBeLessThanOrEqual(columns);
    expect(progressLine(report, 10)).toBe('step 600/5400  loss 4.1235  2.4 images/s  1 h 1 min left');
  });

  it('of an evaluation names the step and what was measured', () => {
    expect(evaluationLine({ step: 9, evaluation: { loss: 2, psnr: 21.5, 'scaleLoss/1': 3 } })).toBe(
      'held out at step 9: loss 2.0000  psnr 21.5000',
    );
  });
});

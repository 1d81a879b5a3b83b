import { describe, expect, it } from 'vitest';
import { formatNumber, jsonReport, markdownTable } from './text.ts';

describe('text reports', () => {
  it('writes rows as a Markdown table', () => {
    const rows = [
      { metric: 'PSNR | dB', value: 23.456_78 },
      { metric: 'codes', value: 512, note: 'all\nused' },
    ];
    expect(markdownTable(rows)).toBe(
      [
        '| metric | value | note |',
        '| --- | ---: | --- |',
        '| PSNR \\| dB | 23.46 |  |',
        '| codes | 512 | all used |',
      ].join('\n'),
    );
  });

  it('writes numbers that JSON lacks by their names', () => {
    expect(JSON.parse(jsonReport({ psnr: Infinity, ssim: NaN, ranks: [1] }))).toEqual({
      psnr: 'Infinity',
      ssim: 'NaN',
      ranks: [1],
    });
  });

  it.each([
    [0.812_345, '0.8123'],
    [12_345.678, '12350'],
    [200, '200'],
    [0.000_123_456, '0.0001235'],
    [-0.000_005_276_4, '-5.276e-6'],
    [0, '0'],
    [Infinity, 'Infinity'],
  ])('shows %d as %s', (value, text) => expect(formatNumber(value)).toBe(text));
});

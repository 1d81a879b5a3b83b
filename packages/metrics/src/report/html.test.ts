import { describe, expect, it } from 'vitest';
import type { MetricRow } from '../evaluation/rows.ts';
import { lineChart, radarChart } from './charts.ts';
import { compareReports, type EvaluationReport, parseEvaluation } from './evaluation-report.ts';
import { evaluationHtml } from './html.ts';
import { jsonReport } from './text.ts';

const row = (
  id: string,
  value: number,
  better: 'lower' | 'higher' = 'lower',
  protocol = 'as <usual> & "so"',
): MetricRow => ({
  id,
  name: id.toUpperCase(),
  value,
  better,
  protocol,
});

const report: EvaluationReport = {
  format: 'star-evaluation',
  version: 1,
  title: 'Pictures of <b>emoji</b>',
  rows: [{ ...row('fid', 12.3456), deviation: 0.5 }, row('clip', 0.31, 'higher'), row('psnr', Infinity, 'higher')],
  categories: ['animals', 'food', 'logo'].map((name, i) => ({ name, count: 10 + i, rows: [row('fid', 20 + i)] })),
  guidances: [1, 4].map((guidance) => ({ guidance, rows: [row('fid', 10 * guidance)] })),
  settings: { model: 'a/b', seed: 4 },
  notes: ['a note'],
};

describe('evaluationHtml', () => {
  const html = evaluationHtml(report, [{ title: 'the first', png: Uint8Array.of(1, 2, 3), width: 4, height: 5 }]);

  it('shows every number with its protocol, and the settings', () => {
    for (const part of [
      '12.35',
      '± 0.5',
      '0.31',
      'Infinity',
      'as &lt;usual&gt; &amp; &quot;so&quot;',
      'a/b',
      'a note',
      '>11<',
    ])
      expect(html).toContain(part);
    expect(html).toContain('Pictures of &lt;b&gt;emoji&lt;/b&gt;');
    expect(html).not.toContain('<b>emoji');
  });

  it('stands alone: no script, and nothing fetched', () => {
    expect(html).not.toMatch(/<script|<link|https?:|url\(/);
    expect(html).toContain('<img alt="the first" width="4" height="5" src="data:image/png;base64,AQID">');
  });

  it('has a chart by category and one against guidance, and neither where there is nothing to show', () => {
    expect(html.match(/<svg/g)!.length).toBe(2);
    const plain = evaluationHtml({ ...report, categories: [], guidances: [report.guidances[0]!], notes: [] });
    expect(plain).not.toMatch(/<svg|By category|Against guidance|Notes|Pictures<\/h2>/);
  });
});

describe('charts', () => {
  it('a radar puts the best outermost, whichever way is better', () => {
    const values = [1, 2, 3].map((value) => ({ name: `n${value}`, value }));
    const reachOf = (svg: string): number[] =>
      [...svg.matchAll(/<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) =>
        Math.hypot(Number(x) - 210, Number(y) - 160),
      );
    const higher = reachOf(radarChart(values, { title: 't', better: 'higher' }));
    const lower = reachOf(radarChart(values, { title: 't', better: 'lower' }));
    // Places are written with one digit behind the point.
    [0.25, 0.625, 1].forEach((share, i) => {
      expect(higher[i]).toBeCloseTo(110 * share, 0);
      expect(lower[2 - i]).toBeCloseTo(110 * share, 0);
    });
    expect(radarChart(values.slice(1), { title: 't', better: 'lower' })).toBe('');
    const equal = values.map(({ name }) => ({ name, value: 1 }));
    expect(radarChart(equal, { title: 't', better: 'lower' })).toBe('');
  });

  it('ticks have the digits that tell them apart', () => {
    const ticksOf = (low: number, high: number): string[] =>
      [
        ...lineChart(
          [
            [0, low],
            [1, high],
          ],
          { title: 't', horizontal: 'h' },
        ).matchAll(/text-anchor="end">([^<]*)</g),
      ].map(([, tick]) => tick!);
    expect(ticksOf(1.000_01, 1.000_05)).toEqual(['1.00000', '1.00002', '1.00004', '1.00006']);
    expect(ticksOf(0, 8e-5)).toEqual(['0', '5.0e-5', '1.0e-4']);
    expect(ticksOf(-3, 2)).toEqual(['-4', '-2', '0', '2']);
  });

  it('a line runs by rising x between round numbers', () => {
    const svg = lineChart(
      [
        [4, 31],
        [1, 12],
        [2, 22.5],
      ],
      { title: 'FID', horizontal: 'guidance' },
    );
    expect([...svg.matchAll(/text-anchor="end">([^<]*)</g)].map(([, tick]) => tick)).toEqual([
      '10',
      '15',
      '20',
      '25',
      '30',
      '35',
    ]);
    const xs = [...svg.match(/polyline class="line" points="([^"]*)"/)![1]!.matchAll(/([\d.]+),/g)].map(([, x]) =>
      Number(x),
    );
    expect(xs).toEqual([80, 180, 380].map((x) => expect.closeTo(x, 0) as number));
    expect(lineChart([[1, 1]], { title: 't', horizontal: 'h' })).toBe('');
    expect(
      lineChart(
        [
          [1, 5],
          [2, 5],
        ],
        { title: 't', horizontal: 'h' },
      ),
    ).not.toContain('NaN');
  });
});

describe('reports', () => {
  it('are read back from their JSON', () => {
    expect(parseEvaluation(jsonReport(report))).toEqual(report);
    expect(() => parseEvaluation('{"rows": []}', 'x.json')).toThrow(
      'parseEvaluation: x.json must be a report of star evaluate, got "{\\"rows\\": []}". Give its report.json.',
    );
    expect(() => parseEvaluation('nothing')).toThrow(/^parseEvaluation: report\.json must be a report/);
  });

  it('compare by metric, overall and by category, and say where protocols differ', () => {
    const second = {
      ...report,
      rows: [row('clip', 0.33, 'higher'), row('fid', 15, 'lower', 'otherwise'), row('kid', 1)],
      categories: [{ name: 'food', count: 3, rows: [row('fid', 21)] }],
    };
    expect(compareReports(report, second)).toEqual([
      { metric: 'FID', first: 12.3456, second: 15, difference: 15 - 12.3456, better: 'first', sameProtocol: false },
      { metric: 'CLIP', first: 0.31, second: 0.33, difference: 0.33 - 0.31, better: 'second', sameProtocol: true },
      { metric: 'FID, food', first: 21, second: 21, difference: 0, better: 'equal', sameProtocol: true },
    ]);
  });
});

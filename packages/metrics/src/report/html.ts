import type { MetricRow } from '../evaluation/rows.ts';
import { escapeHtml, lineChart, radarChart } from './charts.ts';
import type { CategoryReport, EvaluationReport, GuidanceReport } from './evaluation-report.ts';
import { formatNumber } from './text.ts';

/** A PNG of several pictures, and what it shows. */
export interface ContactSheet {
  readonly title: string;
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** The page report.html: one file that needs no other, in dark and light. */
export function evaluationHtml(report: EvaluationReport, sheets: readonly ContactSheet[] = []): string {
  const { title, rows, categories, guidances, settings, notes } = report;
  const sections = [
    section('Numbers', rows.length ? metricTable(rows) : '<p>No metric was asked for.</p>'),
    section('By category', categories.length ? categoryPart(categories) : ''),
    section('Against guidance', guidances.length > 1 ? guidancePart(guidances) : ''),
    section('Pictures', sheets.map(sheetPart).join('\n')),
    section('Settings', settingsTable(settings)),
    section('Notes', notes.length ? `<ul>${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('')}</ul>` : ''),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${sections.filter(Boolean).join('\n')}
</main>
</body>
</html>
`;
}

const section = (title: string, body: string): string =>
  body ? `<section>\n<h2>${title}</h2>\n${body}\n</section>` : '';

const arrow = { lower: 'lower is better', higher: 'higher is better' } as const;

const valueOf = ({ value, deviation }: MetricRow): string =>
  `${formatNumber(value)}${deviation === undefined ? '' : `<span class="deviation"> ± ${formatNumber(deviation)}</span>`}`;

function metricTable(rows: readonly MetricRow[]): string {
  const line = (row: MetricRow): string =>
    `<tr><th scope="row">${escapeHtml(row.name)}<span class="better">${arrow[row.better]}</span></th><td class="number">${valueOf(row)}</td><td class="protocol">${escapeHtml(row.protocol)}</td></tr>`;
  return `<div class="scroll"><table class="metrics"><thead><tr><th>Metric</th><th class="number">Value</th><th>Protocol</th></tr></thead><tbody>
${rows.map(line).join('\n')}
</tbody></table></div>`;
}

/** Metrics that occur in any part, once each. */
const metricsOf = (parts: readonly { readonly rows: readonly MetricRow[] }[]): MetricRow[] => [
  ...new Map(parts.flatMap(({ rows }) => rows.map((row): [string, MetricRow] => [row.id, row]))).values(),
];

const valueIn = ({ rows }: { readonly rows: readonly MetricRow[] }, id: string): number =>
  rows.find((row) => row.id === id)?.value ?? Number.NaN;

function chart(title: string, caption: string, svg: string): string {
  return (
    svg &&
    `<figure><figcaption><strong>${escapeHtml(title)}</strong> ${escapeHtml(caption)}</figcaption>${svg}</figure>`
  );
}

function partTable(
  first: string,
  parts: readonly { readonly name: string; readonly count?: number; readonly rows: readonly MetricRow[] }[],
): string {
  const metrics = metricsOf(parts);
  const counted = parts.some(({ count }) => count !== undefined);
  const cell = (value: number): string => `<td class="number">${Number.isNaN(value) ? '' : formatNumber(value)}</td>`;
  const line = (part: (typeof parts)[number]): string =>
    `<tr><th scope="row">${escapeHtml(part.name)}</th>${counted ? cell(part.count ?? Number.NaN) : ''}${metrics.map(({ id }) => cell(valueIn(part, id))).join('')}</tr>`;
  const heads = metrics.map(({ name }) => `<th class="number">${escapeHtml(name)}</th>`).join('');
  return `<div class="scroll"><table><thead><tr><th>${first}</th>${counted ? '<th class="number">Pictures</th>' : ''}${heads}</tr></thead><tbody>
${parts.map(line).join('\n')}
</tbody></table></div>`;
}

function chartsPart(charts: readonly string[]): string {
  const drawn = charts.filter(Boolean);
  return drawn.length ? `<div class="charts">${drawn.join('\n')}</div>\n` : '';
}

function categoryPart(categories: readonly CategoryReport[]): string {
  const charts = metricsOf(categories).map(({ id, name, better }) =>
    chart(
      name,
      'by category; the best lies outermost.',
      radarChart(
        categories.map((part) => ({ name: part.name, value: valueIn(part, id) })),
        { title: name, better },
      ),
    ),
  );
  return `${chartsPart(charts)}${partTable('Category', categories)}`;
}

function guidancePart(guidances: readonly GuidanceReport[]): string {
  const charts = metricsOf(guidances).map(({ id, name, better }) =>
    chart(
      name,
      `against guidance; ${arrow[better]}.`,
      lineChart(
        guidances.map((part) => [part.guidance, valueIn(part, id)] as const),
        { title: name, horizontal: 'guidance' },
      ),
    ),
  );
  const parts = guidances.map(({ guidance, rows }) => ({ name: String(guidance), rows }));
  return `${chartsPart(charts)}${partTable('Guidance', parts)}`;
}

const sheetPart = ({ title, png, width, height }: ContactSheet): string =>
  `<figure class="sheet"><figcaption>${escapeHtml(title)}</figcaption><img alt="${escapeHtml(title)}" width="${width}" height="${height}" src="data:image/png;base64,${Buffer.from(png).toString('base64')}"></figure>`;

function settingsTable(settings: EvaluationReport['settings']): string {
  const line = ([name, value]: readonly [string, string | number]): string =>
    `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(String(value))}</td></tr>`;
  return `<div class="scroll"><table>${Object.entries(settings).map(line).join('\n')}</table></div>`;
}

const style = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --ground: #fcfcfd; --panel: #fff; --accent: #3e63dd; --tint: #3e63dd2e; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #b0b4ba; --line: #43484e; --ground: #111113; --panel: #18191b; --accent: #9eb1ff; --tint: #9eb1ff2e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1.5rem; text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 0.75rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 0.55rem 0.9rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); font-weight: 400; }
tr:first-child > * { border-top: 0; }
thead th { color: var(--soft); font-size: 0.85rem; }
tbody + tbody tr:first-child > *, thead + tbody tr:first-child > * { border-top: 1px solid var(--line); }
th[scope=row] { white-space: nowrap; font-weight: 600; }
td { overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.metrics td.number { font-size: 1.15rem; font-weight: 600; }
.deviation, .better, .protocol, figcaption { color: var(--soft); font-size: 0.875rem; font-weight: 400; }
.metrics td.protocol { min-width: 16rem; }
.better { display: block; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; margin-bottom: 1rem; }
figure { margin: 0; padding: 1rem; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
figure.sheet { margin-bottom: 1rem; overflow-x: auto; }
figure strong { color: var(--ink); }
figure.sheet img { display: block; max-width: 100%; height: auto; margin: 0.75rem auto 0; image-rendering: auto; }
svg { display: block; width: 100%; height: auto; max-width: 30rem; margin: 0 auto; }
svg text { fill: var(--ink); font-size: 12px; }
svg .value { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
svg .grid { fill: none; stroke: var(--line); }
svg .area { fill: var(--tint); stroke: var(--accent); stroke-width: 2; }
svg .line { fill: none; stroke: var(--accent); stroke-width: 2; }
svg .dot { fill: var(--accent); }
ul { padding-left: 1.2rem; }
@media (max-width: 44rem) {
  .metrics thead { display: none; }
  .metrics tr { display: grid; grid-template-columns: 1fr auto; border-top: 1px solid var(--line); }
  .metrics tr:first-child { border-top: 0; }
  .metrics th, .metrics td { border-top: 0 !important; }
  .metrics td.protocol { grid-column: 1 / -1; min-width: 0; padding-top: 0; }
  th[scope=row] { white-space: normal; }
}
`;

import type { MetricRow } from '../evaluation/rows.ts';
import { MetricError } from '../picture.ts';

/** Numbers of a part of the pictures. */
export interface CategoryReport {
  readonly name: string;
  readonly count: number;
  readonly rows: readonly MetricRow[];
}

/** Numbers of one guidance of several. */
export interface GuidanceReport {
  readonly guidance: number;
  readonly rows: readonly MetricRow[];
}

/** All that an evaluation found, and all that one needs to repeat it. */
export interface EvaluationReport {
  readonly format: 'star-evaluation';
  readonly version: 1;
  readonly title: string;
  readonly rows: readonly MetricRow[];
  readonly categories: readonly CategoryReport[];
  readonly guidances: readonly GuidanceReport[];
  /** Model, sets, seeds, options, adapter, versions: by name, in the order of the page. */
  readonly settings: Readonly<Record<string, string | number>>;
  readonly notes: readonly string[];
}

/** Reads report.json. @throws MetricError if the text is none of ours. */
export function parseEvaluation(text: string, file = 'report.json'): EvaluationReport {
  const json = parsed(text);
  const lists = [json?.rows, json?.categories, json?.guidances];
  if (json?.format !== 'star-evaluation' || json.version !== 1 || !lists.every(Array.isArray))
    throw new MetricError(
      'parseEvaluation',
      `${file} must be a report of star evaluate, got ${JSON.stringify(text.slice(0, 60))}. Give its report.json.`,
    );
  return {
    ...withNumbers(json),
    categories: json.categories.map(withNumbers),
    guidances: json.guidances.map(withNumbers),
  };
}

/** Infinity and NaN back from their names. */
const withNumbers = <T extends { readonly rows: readonly MetricRow[] }>(part: T): T => ({
  ...part,
  rows: part.rows.map((row) => ({ ...row, value: Number(row.value) })),
});

function parsed(text: string): EvaluationReport | undefined {
  try {
    return (JSON.parse(text) as EvaluationReport | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Two values of one metric. */
export interface Comparison {
  readonly metric: string;
  readonly first: number;
  readonly second: number;
  readonly difference: number;
  readonly better: 'first' | 'second' | 'equal';
  /** False where the two were measured in different ways, so that the difference says little. */
  readonly sameProtocol: boolean;
}

/** Metrics that both reports have, overall and by category, in the first one's order. */
export function compareReports(first: EvaluationReport, second: EvaluationReport): Comparison[] {
  const overall = compareRows(first.rows, second.rows, '');
  const parts = first.categories.flatMap(({ name, rows }) =>
    compareRows(rows, second.categories.find((other) => other.name === name)?.rows ?? [], `, ${name}`),
  );
  return [...overall, ...parts];
}

function compareRows(first: readonly MetricRow[], second: readonly MetricRow[], suffix: string): Comparison[] {
  return first.flatMap((row) => {
    const other = second.find(({ id }) => id === row.id);
    if (!other) return [];
    const difference = other.value - row.value;
    const isBetter = row.better === 'lower' ? difference < 0 : difference > 0;
    return [
      {
        metric: `${row.name}${suffix}`,
        first: row.value,
        second: other.value,
        difference,
        better: difference === 0 ? 'equal' : isBetter ? 'second' : 'first',
        sameProtocol: row.protocol === other.protocol,
      } satisfies Comparison,
    ];
  });
}

// Draws the curves of a training run: tsx tools/plot-run.main.ts OUT.svg LOG.jsonl NAME...
// A name is a number of the log's lines or of their metrics; values are means over a hundredth of the run.
import { readFile, writeFile } from 'node:fs/promises';
import { type Spec, View, parse } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

type Line = Readonly<Record<string, unknown>> & { readonly step: number; readonly metrics: Record<string, number> };
interface Point {
  readonly step: number;
  readonly value: number;
}

const buckets = 100;

const valueOf = (line: Line, name: string): number => Number(line.metrics[name] ?? line[name]);

/** Means over equal parts of the run. @throws Error if a line lacks the number. */
function curveOf(lines: readonly Line[], name: string): Point[] {
  const missing = lines.find((line) => !Number.isFinite(valueOf(line, name)));
  if (missing) throw new Error(`plot-run: ${name} must be a number of every line, got none at step ${missing.step}.`);
  const size = Math.max(1, Math.ceil(lines.length / buckets));
  return Array.from({ length: Math.ceil(lines.length / size) }, (_, i) => {
    const part = lines.slice(i * size, (i + 1) * size);
    const value = part.reduce((sum, line) => sum + valueOf(line, name), 0) / part.length;
    return { step: part.at(-1)!.step, value };
  });
}

const chartOf = (name: string, points: readonly Point[]): object => ({
  width: 300,
  height: 180,
  data: { values: points },
  mark: { type: 'line', color: '#c8551d' },
  encoding: {
    x: { field: 'step', type: 'quantitative', title: 'step' },
    y: {
      field: 'value',
      type: 'quantitative',
      title: name,
      scale: { type: points.every(({ value }) => value > 0) && name !== 'accuracy' ? 'log' : 'linear' },
    },
  },
});

const [out, log, ...names] = process.argv.slice(2);
if (!out || !log || names.length === 0) throw new Error('plot-run: OUT.svg LOG.jsonl NAME... must be given.');
const lines = (await readFile(log, 'utf8'))
  .trim()
  .split('\n')
  .map((text) => JSON.parse(text) as Line);
const spec = { background: 'white', hconcat: names.map((name) => chartOf(name, curveOf(lines, name))) };
const compiled: Spec = compile(spec as TopLevelSpec).spec;
await writeFile(out, `${await new View(parse(compiled), { renderer: 'none' }).toSVG()}\n`);

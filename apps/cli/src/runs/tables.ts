import { duration } from '../output.ts';
import { lastOf } from './curves.ts';
import type { Run, Series } from './read-run.ts';

type Cells = Readonly<Record<string, string | number | undefined>>;

/** The lowest loss: of held-out pictures where there are any, else the lowest mean of a hundredth. */
function bestOf({ series }: Run): { readonly loss: number; readonly step: number } | undefined {
  const { steps, values } = series.get('evaluation/loss') ?? series.get('loss') ?? { steps: [], values: [] };
  const finite = [...values.keys()].filter((i) => Number.isFinite(values[i]));
  if (finite.length === 0) return undefined;
  const best = finite.reduce((lowest, i) => (values[i]! < values[lowest]! ? i : lowest));
  return { loss: values[best]!, step: steps[best]! };
}

const minutes = (date: Date | undefined): string => date?.toISOString().slice(0, 16).replace('T', ' ') ?? '';

/** What a list of runs says of one. */
export function listRow(run: Run): Cells {
  const { name, config, state, step, steps, secondsLeft, started, series } = run;
  const best = bestOf(run);
  return {
    run: name,
    stage: String(config['stage'] ?? ''),
    steps: `${step}/${steps}`,
    state,
    loss: series.has('loss') ? lastOf(series.get('loss')!) : undefined,
    'best loss': best?.loss,
    'at step': best?.step,
    left: state === 'finished' ? '' : duration(secondsLeft),
    started: minutes(started),
  };
}

/** All values of a config by their path; lists are values. */
const flattened = (value: unknown, path = ''): [string, string][] =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([name, inner]) => flattened(inner, path ? `${path}.${name}` : name))
    : [[path, JSON.stringify(value)]];

/** Values of the configs that differ, by their path. */
export function configRows(runs: readonly Run[]): Cells[] {
  const configs = runs.map(({ config }) => new Map(flattened(config)));
  const paths = [...new Set(configs.flatMap((config) => [...config.keys()]))];
  const differing = paths.filter((path) => new Set(configs.map((config) => config.get(path))).size > 1);
  return differing.map((path) => ({
    key: path,
    ...Object.fromEntries(runs.map(({ name }, i) => [name, configs[i]!.get(path) ?? ''])),
  }));
}

/** Where each metric of the runs ends; two runs have their difference too. */
export function metricRows(runs: readonly Run[]): Cells[] {
  const names = [...new Set(runs.flatMap(({ series }) => [...series.keys()]))];
  return names.map((metric) => {
    const ends = runs.map(({ series }) => (series.has(metric) ? lastOf(series.get(metric) as Series) : undefined));
    const [first, second] = ends;
    const difference = runs.length === 2 && first !== undefined && second !== undefined ? second - first : undefined;
    return {
      metric,
      ...Object.fromEntries(runs.map(({ name }, i) => [name, ends[i]])),
      ...(runs.length === 2 && { difference }),
    };
  });
}

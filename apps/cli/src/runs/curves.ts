import type { Run, Series } from './read-run.ts';

/** A curve of a run, as it is drawn. */
export interface Curve {
  readonly name: string;
  /** Steps with their values, rising. */
  readonly points: readonly (readonly [step: number, value: number])[];
}

/** Points of a curve that is drawn: means over so many parts of the run. */
const parts = 100;

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** A series in at most a hundred points, each the mean of a part and at its last step; values that are not finite are left out. */
export function smoothed({ steps, values }: Series): Curve['points'] {
  const finite = [...steps.keys()].filter((i) => Number.isFinite(values[i]));
  const size = Math.max(1, Math.ceil(finite.length / parts));
  const count = Math.ceil(finite.length / size);
  return Array.from({ length: count }, (_, part) => {
    // Counted from the end, so that the last part is a whole one.
    const end = finite.length - size * (count - 1 - part);
    const some = finite.slice(Math.max(0, end - size), end);
    return [steps[some.at(-1)!]!, mean(some.map((i) => values[i]!))];
  });
}

/** Where a series ends: the mean of its last hundredth. */
export const lastOf = (series: Series): number => smoothed(series).at(-1)?.[1] ?? NaN;

/** Curves of a metric. @throws Error for a run that has no such metric, naming those that it has. */
export function curvesOf(runs: readonly Run[], metric: string): Curve[] {
  return runs.map(({ name, series }) => {
    const found = series.get(metric);
    if (found) return { name, points: smoothed(found) };
    throw new Error(
      `--metric must be one of ${[...series.keys()].join(', ')} for ${name}, got ${metric}. Name another.`,
    );
  });
}

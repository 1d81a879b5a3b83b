import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isRunning } from '../is-running.ts';

/** A number over the steps at which it was logged. */
export interface Series {
  readonly steps: number[];
  readonly values: number[];
}

/** A training run, as its folder tells. */
export interface Run {
  readonly name: string;
  readonly folder: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** By name: `loss`, what the stage measures, and `evaluation/...`. */
  readonly series: ReadonlyMap<string, Series>;
  readonly state: 'running' | 'stopped' | 'finished';
  /** The last step that was logged, and how many there are to be. */
  readonly step: number;
  readonly steps: number;
  /** Seconds to the end when the last step was logged. */
  readonly secondsLeft: number;
  /** When the first and the last step were logged. */
  readonly started: Date | undefined;
  readonly ended: Date | undefined;
  /** Lines of the log that are no steps: half-written or damaged. */
  readonly damaged: number;
}

/** A line of a log that could be read. */
interface Line {
  readonly step: number;
  readonly steps: number;
  readonly eta: number;
  readonly time?: string;
  readonly numbers: readonly (readonly [name: string, value: number])[];
}

const notSeries = new Set(['step', 'steps', 'eta', 'epoch']);

const numbersOf = (values: object, prefix = ''): [string, number][] =>
  Object.entries(values).flatMap(([name, value]) =>
    typeof value === 'number' && !notSeries.has(name) ? [[`${prefix}${name}`, value]] : [],
  );

function lineOf(text: string): Line | undefined {
  try {
    const { metrics = {}, evaluation = {}, ...line } = JSON.parse(text) as Line & Record<string, object>;
    if (!Number.isInteger(line.step) || !Number.isInteger(line.steps)) return undefined;
    return { ...line, numbers: [...numbersOf(line), ...numbersOf(metrics), ...numbersOf(evaluation, 'evaluation/')] };
  } catch {
    return undefined;
  }
}

/** Drops what a series has of a step and later ones. */
function cutAt({ steps, values }: Series, step: number): void {
  while (steps.length && steps.at(-1)! >= step) {
    steps.pop();
    values.pop();
  }
}

/** What a log says; of a step that was done again only the last time. */
async function readLog(file: string): Promise<Pick<Run, 'series' | 'started' | 'ended' | 'damaged'> & { last?: Line }> {
  const series = new Map<string, Series>();
  let [first, last]: [Line?, Line?] = [];
  let damaged = 0;
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    const line = lineOf(text);
    if (!line) {
      if (text) damaged++;
      continue;
    }
    if (last && line.step <= last.step) for (const each of series.values()) cutAt(each, line.step);
    for (const [name, value] of line.numbers) {
      const { steps, values } = series.get(name) ?? series.set(name, { steps: [], values: [] }).get(name)!;
      steps.push(line.step);
      values.push(value);
    }
    first ??= line;
    last = line;
  }
  return { series, started: timeOf(first), ended: timeOf(last), damaged, ...(last && { last }) };
}

const timeOf = (line: Line | undefined): Date | undefined => (line?.time ? new Date(line.time) : undefined);

/** The process that writes a run, by the name of its newest event file: seconds, host, process. */
async function isWritten(folder: string, ended: Date | undefined): Promise<boolean> {
  const names = (await readdir(folder)).filter((name) => name.startsWith('events.out.tfevents.'));
  const found = /^events\.out\.tfevents\.\d+\.(.+)\.(\d+)\.star$/.exec(names.toSorted().at(-1) ?? '');
  if (!found) return false;
  const [, host, process] = found;
  if (host === hostname()) return isRunning(Number(process));
  // A run of another machine cannot be asked: it is taken for alive while it logs.
  return ended !== undefined && Date.now() - ended.getTime() < 10 * 60_000;
}

/** Reads a run. @throws Error where the folder holds none. */
export async function readRun(folder: string, name = folder): Promise<Run> {
  const read = await readFile(join(folder, 'config.json'), 'utf8').catch(() => undefined);
  if (read === undefined || !(await isRun(folder)))
    throw new Error(`${folder} must be the folder of a run, with config.json and log.jsonl, got none. See star runs.`);
  const { last, ...log } = await readLog(join(folder, 'log.jsonl'));
  const finished = last !== undefined && last.step >= last.steps;
  const written = !finished && (await isWritten(folder, log.ended));
  return {
    name,
    folder,
    config: JSON.parse(read) as Record<string, unknown>,
    ...log,
    state: finished ? 'finished' : written ? 'running' : 'stopped',
    step: last?.step ?? 0,
    steps: last?.steps ?? 0,
    secondsLeft: last?.eta ?? 0,
  };
}

const isRun = async (folder: string): Promise<boolean> =>
  (await stat(join(folder, 'log.jsonl')).catch(() => undefined))?.isFile() ?? false;

/** All runs in a folder and the folders inside it, by name. */
export async function findRuns(root: string): Promise<Run[]> {
  const runs: Run[] = [];
  async function visit(name: string): Promise<void> {
    const folder = join(root, name);
    if (await isRun(folder)) {
      runs.push(await readRun(folder, name || folder));
      return;
    }
    const inside = await readdir(folder, { withFileTypes: true });
    for (const entry of inside.filter((each) => each.isDirectory())) await visit(join(name, entry.name));
  }
  await visit('');
  return runs.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

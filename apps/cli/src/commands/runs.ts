import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { markdownTable } from '@star-webgpu/metrics';
import { print, say } from '../output.ts';
import { chartSvg } from '../runs/chart-svg.ts';
import { chartText } from '../runs/chart-text.ts';
import { curvesOf } from '../runs/curves.ts';
import { findRuns, readRun, type Run } from '../runs/read-run.ts';
import { configRows, listRow, metricRows } from '../runs/tables.ts';

interface Flags {
  readonly json?: boolean;
}

interface PlotFlags {
  readonly metric: readonly string[];
  readonly out?: string;
}

/** Adds `star runs`, with `compare` and `plot`. */
export function addRuns(program: Command): void {
  const runs = program
    .command('runs')
    .description('list the training runs of a folder: how far they are, and how good')
    .argument('[folder]', 'where to look for runs', 'runs')
    .addHelpText(
      'after',
      '\nExamples:\n  star runs\n  star runs compare tiny-star runs/again\n  star runs plot tiny-star again --metric loss accuracy --out curves.svg',
    )
    .action(listRuns);
  runs
    .command('compare')
    .description('what differs in the configs of runs, and where their metrics end')
    .argument('<runs...>', 'folders of runs, or their names in runs/')
    .action(compareRuns);
  runs
    .command('plot')
    .description('draw curves of runs, here or as SVG')
    .argument('<runs...>', 'folders of runs, or their names in runs/')
    .option('--metric <name...>', 'what to draw: loss, evaluation/loss, or what the log has', ['loss'])
    .option('--out <file>', 'an SVG file instead of the terminal')
    .action(plotRuns);
}

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() ?? false;

/** A run by its folder, or by its name in `runs`. */
const openRun = async (name: string): Promise<Run> => readRun((await isFolder(name)) ? name : join('runs', name), name);

function sayDamaged(runs: readonly Run[]): void {
  for (const { folder, damaged } of runs.filter((run) => run.damaged > 0))
    say(`${join(folder, 'log.jsonl')}: ${damaged} ${damaged === 1 ? 'line is' : 'lines are'} damaged and passed over`);
}

async function listRuns(folder: string, _: unknown, command: Command): Promise<void> {
  if (!(await isFolder(folder))) throw new Error(`${folder} must be a folder with runs, got none. Name another.`);
  const runs = await findRuns(folder);
  sayDamaged(runs);
  const rows = runs.map(listRow);
  if (command.optsWithGlobals<Flags>().json) return print(JSON.stringify(rows));
  print(rows.length ? markdownTable(rows) : `no runs in ${folder}`);
}

async function compareRuns(names: readonly string[], _: unknown, command: Command): Promise<void> {
  const runs = await Promise.all(names.map(openRun));
  sayDamaged(runs);
  const [config, metrics] = [configRows(runs), metricRows(runs)];
  if (command.optsWithGlobals<Flags>().json) return print(JSON.stringify({ config, metrics }));
  print(config.length ? markdownTable(config) : 'the configs are equal');
  print(`\n${markdownTable(metrics)}`);
}

async function plotRuns(names: readonly string[], { metric, out }: PlotFlags): Promise<void> {
  const runs = await Promise.all(names.map(openRun));
  sayDamaged(runs);
  const charts = metric.map((title) => ({ title, curves: curvesOf(runs, title) }));
  if (out) {
    await mkdir(dirname(out), { recursive: true });
    await writeFile(out, chartSvg(charts));
    return print(out);
  }
  const { columns = 80, isTTY = false } = process.stdout;
  for (const chart of charts) print(chartText(chart, { columns, colored: isTTY }));
}

import {
  type Device,
  type GemmTile,
  parseTuning,
  seedTuning,
  tune,
  tuningJson,
  type TuningResult,
  tuningTable,
  type TuningTable,
  useTuning,
} from '@star-webgpu/tensor-webgpu';
import { readTuningFile, tuningFile, writeTuningFile } from '@star-webgpu/tensor-webgpu/node';
import { interruptSignal, print, say } from './output.ts';
import { tryInChild } from './tuning-child.ts';
import { tuningProblems } from './tuning-problems.ts';

/** Tuned tiles are used unless STAR_TUNING=off; where CI is set, only with STAR_TUNING=on. */
const isWanted = (): boolean => (process.env['STAR_TUNING'] || (process.env['CI'] ? 'off' : 'on')) !== 'off';

/** Puts the tiles of the user's tuning file to use, or those that come with the package; a file that does not suit is left alone. */
export async function loadTuning(device: Device): Promise<void> {
  if (!isWanted()) return;
  const text = await readTuningFile();
  const found = text === undefined ? undefined : parseTuning(text, device);
  if (found && 'reason' in found)
    say(`tuning: ${tuningFile()} is not used: ${found.reason}. Run "star bench --tune", or set STAR_TUNING=off.`);
  useTuning(device, found && 'table' in found ? found.table : seedTuning(device));
}

export interface TuneCommand {
  readonly device: Device;
  /** The adapter as it was asked for. */
  readonly adapter?: string | undefined;
  /** A part of the names of problems; all by default. */
  readonly only?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Tunes the fixed list of products, prints what was measured and writes the user's tuning file. */
export async function runTuning({ device, adapter, only = '', json }: TuneCommand): Promise<void> {
  const problems = tuningProblems(device).filter(({ name }) => name.includes(only));
  if (!problems.length) throw new Error(`bench: --only must be part of a product's name, got "${only}".`);
  const results: TuningResult[] = [];
  const onResult = (result: TuningResult): void => {
    results.push(result);
    say(`${results.length} of ${problems.length}: ${lineOf(result)}`);
    if (result.skipped.length) say(`  no time was left for ${result.skipped.map(nameOf).join(', ')}`);
    for (const { tile, reason } of result.dropped) say(`  dropped ${nameOf(tile)}: ${reason.split('\n')[0]}`);
  };
  const options = { onResult, signal: interruptSignal(), tryCandidate: tryInChild(adapter) };
  try {
    await tune(device, problems, options);
  } finally {
    // what an interrupted run measured is worth keeping too
    if (results.length) await keep(tuningTable(device, results));
  }
  print(
    json
      ? JSON.stringify({ adapter: device.profile.description, file: tuningFile(), results })
      : results.map(lineOf).join('\n'),
  );
}

/** Adds a table to the user's tuning file. */
async function keep(table: TuningTable): Promise<void> {
  await writeTuningFile(tuningJson(table, await readTuningFile()));
  const changed = table.entries.filter(({ tile }) => tile).length;
  say(`${changed} of ${table.entries.length} products take another tile; written to ${tuningFile()}`);
}

/** A tile's back end with its sides. */
const nameOf = (tile: GemmTile): string =>
  tile.backend === 'plain' ? 'plain' : `${tile.backend} ${tile.rows}x${tile.columns}`;

function lineOf({ name, builtIn, builtInTime, best, bestTime }: TuningResult): string {
  const usual = builtInTime === undefined ? 'dropped' : `${builtInTime.toFixed(2)} ms`;
  const gain = builtInTime === undefined ? '' : `${((builtInTime / bestTime - 1) * 100).toFixed(0)} %`;
  const cells = [nameOf(builtIn), usual.padStart(10), nameOf(best), `${bestTime.toFixed(2)} ms`.padStart(10), gain];
  return [name.padEnd(46), ...cells.map((cell) => cell.padEnd(17))].join(' ').trimEnd();
}

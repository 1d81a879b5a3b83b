import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { wholeNumber } from '../numbers.ts';
import { print } from '../output.ts';
import { contactSheet } from './contact-sheet.ts';
import { withPacks } from './open-packs.ts';

interface Flags {
  readonly out: string;
  readonly count: number;
  readonly columns: number;
  readonly side: number;
  readonly json?: boolean;
}

/** Adds `star data show`. */
export function addShow(data: Command): void {
  data
    .command('show')
    .argument('<pack>', 'a pack')
    .argument('[keys...]', 'only these pictures')
    .description('draw pictures, spread evenly over a pack, with their main captions on one sheet')
    .requiredOption('--out <file>', 'the sheet, a PNG')
    .option('--count <number>', 'pictures on it', wholeNumber(1, 10_000), 48)
    .option('--columns <number>', 'pictures a row', wholeNumber(1, 1000), 8)
    .option('--side <pixels>', 'longer side of each', wholeNumber(16, 2048), 128)
    .addHelpText('after', '\nExample:\n  star data show data/mine.lmdb --out sheet.png')
    .action(runShow);
}

async function runShow(path: string, given: readonly string[], _: unknown, command: Command): Promise<void> {
  const { out, count, columns, side, json } = command.optsWithGlobals<Flags>();
  const shown = await withPacks([path], async ([pack]) => {
    const keys = given.length ? given : spread(pack!.keys(), count);
    const pictures = keys.map((key) => ({ key, ...pack!.get(key) }));
    await mkdir(dirname(out), { recursive: true });
    await writeFile(out, await contactSheet(pictures, { columns, side }));
    return pictures.map(({ key, captions, width, height }) => ({ key, caption: captions[0]!, width, height }));
  });
  const lines = shown.map(({ key, caption, width, height }) => `${key}  ${width} x ${height}  ${caption}`);
  print(json ? JSON.stringify({ file: out, pictures: shown }) : [...lines, out].join('\n'));
}

/** So many of a list at even distances, the first among them. */
function spread<Value>(list: readonly Value[], most: number): Value[] {
  const count = Math.min(most, list.length);
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]!);
}

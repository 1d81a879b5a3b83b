import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type Duplicate, nearDuplicates } from '@star-webgpu/data-lmdb';
import { wholeNumber } from '../numbers.ts';
import { countdown, interruptSignal, print, say } from '../output.ts';
import { withPacks } from './open-packs.ts';

interface Flags {
  readonly distance: number;
  readonly out?: string;
  readonly json?: boolean;
}

/** Adds `star data duplicates`. */
export function addDuplicates(data: Command): void {
  data
    .command('duplicates')
    .argument('<pack...>', 'packs, looked at together')
    .description(
      'list pictures that look alike, encoded or resized anew, by perceptual hash; the largest of each group first',
    )
    .option('--distance <bits>', 'bits of 63 in which they may differ, from 0 to 15', wholeNumber(0, 15), 4)
    .option('--out <file>', 'write the keys of all but the first of each group, for star pack --except-keys')
    .addHelpText(
      'after',
      '\nExample:\n  star data duplicates data/mine.lmdb --out twice.txt\n  star pack pictures/ --except-keys twice.txt --out data/mine.lmdb',
    )
    .action(runDuplicates);
}

async function runDuplicates(paths: readonly string[], _: unknown, command: Command): Promise<void> {
  const { distance, out, json } = command.optsWithGlobals<Flags>();
  const groups = await withPacks(paths, (packs) => {
    const total = packs.reduce((sum, { size }) => sum + size, 0);
    const progress = countdown(total, (done) => `looked at ${done} of ${total}`);
    return nearDuplicates(packs, { distance, onProgress: ({ done }) => progress(done), signal: interruptSignal() });
  });
  const others = groups.flatMap((group) => group.slice(1));
  if (out !== undefined) await writeFile(out, others.map(({ key }) => `${key}\n`).join(''));
  print(json ? JSON.stringify(groups) : groups.map((group) => lineOf(group, paths.length > 1)).join('\n'));
  say(`${groups.length} groups; ${others.length} pictures beside the first of each`);
}

function lineOf(group: readonly Duplicate[], named: boolean): string {
  return group
    .map(({ pack, key, distance }, i) => `${named ? `${pack} ` : ''}${key}${i ? ` (${distance})` : ''}`)
    .join(', ');
}

import type { Command } from 'commander';
import { addDuplicates } from '../data/duplicates.ts';
import { addShow } from '../data/show.ts';
import { addStats } from '../data/stats.ts';
import { addVerify } from '../data/verify.ts';

/** Adds `star data` with all that looks into packs. */
export function addData(program: Command): void {
  const data = program
    .command('data')
    .description('look into packs: numbers, checksums, a contact sheet, near-duplicates')
    .addHelpText(
      'after',
      '\nExamples:\n  star data stats data/mine.lmdb\n  star data verify data/mine.lmdb\n  star data show data/mine.lmdb --out sheet.png\n  star data duplicates data/mine.lmdb --out twice.txt',
    );
  addStats(data);
  addVerify(data);
  addShow(data);
  addDuplicates(data);
}

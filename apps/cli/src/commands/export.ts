import type { Command } from 'commander';
import { openPack, writeWebDataset } from '@star-webgpu/data-lmdb';
import { wholeNumber } from '../numbers.ts';
import { interruptSignal, print, Progress } from '../output.ts';

interface Flags {
  readonly out: string;
  readonly shardSize: number;
  readonly json?: boolean;
}

/** Adds `star export`. */
export function addExport(program: Command): void {
  program
    .command('export')
    .argument('<pack>', 'a pack, for example data/mine.lmdb')
    .description('write a pack as WebDataset tar shards, which other programs read')
    .requiredOption('--out <folder>', 'where the shards go')
    .option('--shard-size <number>', 'pictures a shard', wholeNumber(1), 10_000)
    .addHelpText('after', '\nExample:\n  star export data/mine.lmdb --out shards')
    .action(runExport);
}

async function runExport(path: string, _: unknown, command: Command): Promise<void> {
  const { out, shardSize, json } = command.optsWithGlobals<Flags>();
  const pack = await openPack(path);
  const progress = new Progress();
  try {
    const shards = await writeWebDataset(pack, out, {
      shardSize,
      onProgress: ({ done, total }) => progress.show(`written ${done} of ${total}`, done === total),
      signal: interruptSignal(),
    });
    progress.end();
    print(json ? JSON.stringify({ pictures: pack.size, shards }) : shards.join('\n'));
  } finally {
    await pack.close();
  }
}

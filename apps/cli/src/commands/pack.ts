import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Command, Option } from 'commander';
import { type EmojiCaptions, emojiSource, pack, type PackSource, sourceOf } from '@star-webgpu/data-lmdb';
import { wholeNumber } from '../numbers.ts';
import { addFilterFlags, type FilterFlags, filtersOf } from '../data/filter-flags.ts';
import { duration, interruptSignal, print, Progress, say } from '../output.ts';

interface Flags extends FilterFlags {
  readonly out: string;
  readonly size?: number;
  readonly shardSize: number;
  readonly threads?: number;
  readonly distinct?: boolean;
  readonly captions?: EmojiCaptions;
  readonly json?: boolean;
}

/** Refused pictures that are named on the screen; the rest are in the file beside the pack. */
const namedRefusals = 5;

/** Adds `star pack`. */
export function addPack(program: Command): void {
  const command = program
    .command('pack')
    .argument(
      '<source>',
      'a folder of pictures with .txt or .json sidecars, a .jsonl, a .tsv, parquet tables, tar shards, packs of the released code, or "emoji"',
    )
    .description('pack pictures with captions into one file; the same command again goes on where it stopped')
    .requiredOption('--out <file>', 'the pack, for example data/mine.lmdb')
    .option(
      '--size <pixels>',
      'store squares of this side as PNG; pictures are kept as they are without it',
      wholeNumber(1, 8192),
    )
    .option('--shard-size <pictures>', 'pictures a file; more go into a folder beside it', wholeNumber(1), 10_000)
    .option('--threads <number>', 'pictures decoded at a time; one a core without it', wholeNumber(1, 1024))
    .option('--distinct', 'emoji only: leave out skin tones and flags')
    .addOption(
      new Option(
        '--captions <kind>',
        'emoji only: those for training, these with phrases of up to three telling words, single telling words alone, or one of two kinds that are kept back from all of them to measure by',
      ).choices(['taught', 'phrases', 'words', 'word-order', 'synonym'] satisfies EmojiCaptions[]),
    );
  addFilterFlags(command)
    .addHelpText(
      'after',
      '\nExamples:\n  star pack emoji --distinct --size 64 --out data/emoji.lmdb\n  star pack pictures/ --out data/mine.lmdb\n  star pack pictures/ --min-side 256 --max-aspect 2 --scores aesthetic.json --min-score 5 --out data/mine.lmdb',
    )
    .action(runPack);
}

async function runPack(given: string, _: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const source: PackSource =
    given === 'emoji'
      ? await emojiSource({ distinct: flags.distinct ?? false, captions: flags.captions ?? 'taught' })
      : await sourceOf(given);
  await mkdir(dirname(flags.out), { recursive: true });
  const progress = new Progress();
  const report = await pack(source, flags.out, {
    ...(flags.size && { encode: { format: 'png', size: flags.size } }),
    ...(flags.threads && { threads: flags.threads }),
    shardSize: flags.shardSize,
    filters: await filtersOf(flags),
    onProgress: ({ done, total, resumed, rate }) => {
      if (resumed > 0 && done === resumed + 1) say(`going on behind ${resumed} of ${total}`);
      const left = duration((total - done) / Math.max(rate, 1e-9));
      progress.show(`packed ${done} of ${total}, ${rate.toFixed(0)} a second, ${left} left`, done === total);
    },
    signal: interruptSignal(),
  });
  progress.end();
  for (const { file, reason } of report.refused.slice(0, namedRefusals)) say(`refused ${file}: ${reason}`);
  if (report.refused.length > namedRefusals)
    say(`and ${report.refused.length - namedRefusals} more, see the .refused.jsonl beside the pack`);
  print(
    flags.json
      ? JSON.stringify(report)
      : `${report.path}: ${report.packed} pictures, ${(report.bytes / 1e6).toFixed(1)} MB, ${report.refused.length} refused`,
  );
}

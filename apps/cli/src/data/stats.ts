import type { Command } from 'commander';
import { type PackStatistics, packStatistics, type Spread } from '@star-webgpu/data-lmdb';
import { byteSize, interruptSignal, print } from '../output.ts';
import { withPacks } from './open-packs.ts';

/** Values of a label that are named; the rest are counted. */
const namedValues = 12;

/** Adds `star data stats`. */
export function addStats(data: Command): void {
  data
    .command('stats')
    .argument('<pack...>', 'packs, counted together')
    .description('count pictures and captions, and show how sizes and lengths are spread')
    .addHelpText('after', '\nExample:\n  star data stats data/mine.lmdb')
    .action(runStats);
}

async function runStats(paths: readonly string[], _: unknown, command: Command): Promise<void> {
  const { json } = command.optsWithGlobals<{ readonly json?: boolean }>();
  const statistics = await withPacks(paths, (packs) => packStatistics(packs, interruptSignal()));
  print(json ? JSON.stringify(statistics) : textOf(statistics));
}

function textOf(statistics: PackStatistics): string {
  const { pictures, bytes, captions, sharedCaptions, types, labels } = statistics;
  return [
    `${pictures} pictures, ${byteSize(bytes)} (${listed(types)})`,
    `${captions} captions, ${sharedCaptions} of them of several pictures`,
    '',
    `${''.padEnd(22)}${['least', '5%', 'median', 'mean', '95%', 'most'].map((head) => head.padStart(9)).join('')}`,
    row('captions a picture', statistics.captionsAPicture),
    row('characters a caption', statistics.characters),
    row('words a caption', statistics.words),
    row('width', statistics.width),
    row('height', statistics.height),
    row('width to height', statistics.ratio),
    row('bytes a picture', statistics.size),
    ...Object.entries(labels).map(([name, values]) => `\n${name}: ${labelText(values, pictures)}`),
  ].join('\n');
}

const row = (name: string, { least, low, median, mean, high, most }: Spread): string =>
  name.padEnd(22) + [least, low, median, mean, high, most].map((value) => shortened(value).padStart(9)).join('');

const shortened = (value: number): string => String(Number(value.toFixed(value < 10 ? 2 : 0)));

/** A label that hardly any two pictures share is a name, and no group. */
function labelText(values: Readonly<Record<string, number>>, pictures: number): string {
  const { length } = Object.keys(values);
  return length > pictures / 2 ? `${length} values` : listed(values);
}

/** The most frequent values first. */
function listed(counts: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  const named = sorted.slice(0, namedValues).map(([value, times]) => `${times} ${value}`);
  const rest = sorted.length - named.length;
  return [...named, ...(rest ? [`and ${rest} more`] : [])].join(', ');
}

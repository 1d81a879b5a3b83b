import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { pictureAt, type Pictures, type PromptOptions } from '@star-webgpu/sampler';
import { heatTiles, type WordMap } from './heat-maps.ts';
import { listOf, type OneOrMore, wholeNumber } from './numbers.ts';
import { fileStem, writeGrid } from './pictures.ts';

/** What `star sample` is told of words to watch. */
export interface WatchFlags {
  readonly attention?: readonly string[];
  readonly attentionBlocks?: OneOrMore;
  readonly attentionHeads?: OneOrMore;
}

const gathered = (word: string, before: readonly string[] = []): readonly string[] => [...before, word];

/** Adds the flags for maps of the attention that words get. */
export const withWatchFlags = (command: Command): Command =>
  command
    .option('--attention <word>', 'also a map of where a word of the prompt acts; may be given again', gathered)
    .option(
      '--attention-blocks <list>',
      'blocks that the map is the mean of, from 0; all by default',
      listOf(wholeNumber(0)),
    )
    .option(
      '--attention-heads <list>',
      'heads that the map is the mean of, from 0; all by default',
      listOf(wholeNumber(0)),
    );

/** The words to watch, if any. */
export const watchOptions = (flags: WatchFlags): Pick<PromptOptions, 'watch'> => {
  const { attention: words, attentionBlocks: blocks, attentionHeads: heads } = flags;
  if (!words) return {};
  const chosen = {
    ...(blocks !== undefined && { blocks: [blocks].flat() }),
    ...(heads !== undefined && { heads: [heads].flat() }),
  };
  return { watch: { words, ...chosen } };
};

/** A picture, the words that were watched, and for each scale each word's map. */
export interface WatchedPicture {
  readonly pictures: Pictures;
  readonly index: number;
  readonly words: readonly string[];
  readonly maps: readonly (readonly WordMap[])[];
}

/** Writes a row of heat maps for each word, and all numbers as JSON. -> the files. */
export async function writeWatched({ pictures, index, words, maps }: WatchedPicture, stem: string): Promise<string[]> {
  const picture = pictureAt(pictures, index);
  const files: string[] = [];
  for (const [w, word] of words.entries()) {
    const file = `${stem}-attention-${fileStem(word)}.png`;
    const tiles = await heatTiles(
      picture,
      maps.map((scale) => scale[w]!),
    );
    await writeGrid(tiles, { columns: tiles.length }, file);
    files.push(file);
  }
  const file = `${stem}-attention.json`;
  await mkdir(dirname(file), { recursive: true });
  const numbers = words.map((word, w) => ({ word, scales: maps.map((scale) => scale[w]!) }));
  await writeFile(file, `${JSON.stringify(numbers)}\n`);
  return [...files, file];
}

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { PackFilters } from '@star-webgpu/data-lmdb';
import { numberIn, wholeNumber } from '../numbers.ts';
import { readKeys } from '../read-keys.ts';

/** What a person may say about the pictures to pack. */
export interface FilterFlags {
  readonly minCaption?: number;
  readonly maxCaption?: number;
  readonly minSide?: number;
  readonly maxAspect?: number;
  readonly keys?: string;
  readonly exceptKeys?: string;
  readonly scores?: string;
  readonly minScore?: number;
}

/** Adds what filters pictures to a command. */
export function addFilterFlags(command: Command): Command {
  return command
    .option('--min-caption <characters>', 'leave out shorter captions, and pictures without another', wholeNumber(1))
    .option('--max-caption <characters>', 'leave out longer captions, and pictures without another', wholeNumber(1))
    .option('--min-side <pixels>', 'leave out pictures with a shorter side below', wholeNumber(1))
    .option('--max-aspect <ratio>', 'leave out pictures that are slimmer, such as 2', numberIn(1, 1000))
    .option('--keys <file>', 'only these keys, one a line')
    .option('--except-keys <file>', 'none of these keys, one a line')
    .option('--scores <file>', 'a JSON object with a number for each key; wants --min-score')
    .option('--min-score <number>', 'leave out pictures with less, or without one', numberIn(-1e9, 1e9));
}

/** Reads the filters that flags name. @throws Error naming a file that cannot be used */
export async function filtersOf(flags: FilterFlags): Promise<PackFilters> {
  const { minCaption, maxCaption, minSide, maxAspect, keys, exceptKeys, scores, minScore } = flags;
  if ((scores === undefined) !== (minScore === undefined))
    throw new Error('pack: --scores and --min-score must be given together, got one. Add the other.');
  return {
    captionLength: { ...(minCaption && { min: minCaption }), ...(maxCaption && { max: maxCaption }) },
    ...(minSide && { minSide }),
    ...(maxAspect && { maxAspect }),
    ...(keys && { keys: new Set(await readKeys(keys)) }),
    ...(exceptKeys && { exceptKeys: new Set(await readKeys(exceptKeys)) }),
    ...(scores && minScore !== undefined && { score: { of: await readScores(scores), least: minScore } }),
  };
}

async function readScores(file: string): Promise<Map<string, number>> {
  const text = await readFile(file, 'utf8');
  const entries = entriesOf(text);
  if (entries?.every((entry): entry is [string, number] => typeof entry[1] === 'number')) return new Map(entries);
  throw new Error(
    `pack: --scores must be a JSON object with a number for each key, got ${text.slice(0, 40)} in ${file}. Correct the file.`,
  );
}

function entriesOf(text: string): [string, unknown][] | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
  } catch {
    return undefined;
  }
}

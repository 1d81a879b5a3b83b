import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { GuidanceSchedule, PromptOptions, StableVersion } from '@star-webgpu/sampler';
import { type Ratio, ratios } from '@star-webgpu/vqvae';
import { listOf, numberIn, type OneOrMore, wholeNumber } from './numbers.ts';

/** Flags of every command that draws: how, and from which seeds. */
export interface SamplingFlags {
  readonly count: number;
  readonly seed: OneOrMore;
  readonly negative?: string;
  readonly cfg?: OneOrMore;
  readonly cfgSchedule?: GuidanceSchedule;
  readonly cfgUntil?: number;
  readonly temperature?: OneOrMore;
  readonly entropyTemperature?: boolean;
  readonly topK?: OneOrMore;
  readonly topP?: OneOrMore;
  readonly smooth?: boolean;
  /** Which head refines, or false for none. */
  readonly refine?: StableVersion | false;
  readonly refineSteps?: number;
  readonly ratio?: Ratio;
}

/** What is drawn where nothing else is said; without a count a command has one of its own. */
export interface SamplingStart {
  readonly count?: number;
  readonly seed: number;
}

/** Adds the flags of `SamplingFlags`; those that take a list take one number a scale. */
export const withSamplingFlags = (command: Command, { count, seed }: SamplingStart = { count: 1, seed: 42 }): Command =>
  command
    .option('--count <number>', 'pictures a prompt', wholeNumber(1), count)
    .option(
      '--seed <number>',
      'seed of the first picture, counting up; or one for each of a list',
      listOf(wholeNumber(0)),
      seed,
    )
    .option('--negative <text>', 'what pictures should not show')
    .option(
      '--cfg <strength>',
      'guidance at the last scale, or a list; the model’s own, else 4',
      listOf(numberIn(0, 100)),
    )
    .addOption(new Option('--cfg-schedule <kind>', 'guidance over the scales').choices(['linear', 'constant']))
    .option('--cfg-until <scale>', 'no guidance from this scale on, counting from 0', wholeNumber(0))
    .option('--temperature <number>', 'tamer below 1, wilder above; or a list', listOf(numberIn(0.001, 1000)))
    .option('--entropy-temperature', 'a temperature by how sure each token is')
    .option(
      '--top-k <number>',
      'tokens kept for each draw, 0 for all, or a list; the model’s own, else 600',
      listOf(wholeNumber(0)),
    )
    .option(
      '--top-p <share>',
      'share of the probability kept, 0 for all, or a list; the model’s own, else 0.8',
      listOf(numberIn(0, 1)),
    )
    .option('--smooth', 'mix codes instead of drawing one')
    .addOption(
      new Option('--refine <version>', 'which head draws the large scales in steps, of a model with a refiner').choices(
        ['1024', 'new'],
      ),
    )
    .option('--no-refine', 'draw every scale at once')
    .option('--refine-steps <number>', 'steps of each refined scale; 8 or 15 by default', wholeNumber(1, 64))
    .addOption(new Option('--ratio <width:height>', 'width to height; square by default').choices(ratios));

/** Only what was asked for: the model's own defaults hold for the rest. */
export function samplingOptions(flags: Omit<SamplingFlags, 'count' | 'seed'>): PromptOptions {
  const { negative, cfg, cfgSchedule, cfgUntil, temperature, entropyTemperature, topK, topP, smooth, ratio } = flags;
  const given = {
    negativePrompt: negative,
    guidance: cfg,
    guidanceSchedule: cfgSchedule,
    guidanceUntil: cfgUntil,
    temperature,
    entropyTemperature,
    topK,
    topP,
    smooth,
    refine: refineOf(flags),
    ratio,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Only what was asked for: without a flag the model's own. */
function refineOf({
  refine,
  refineSteps: steps,
}: Pick<SamplingFlags, 'refine' | 'refineSteps'>): PromptOptions['refine'] {
  if (refine === false) return false;
  const asked = { ...(refine !== undefined && { version: refine }), ...(steps !== undefined && { steps }) };
  return Object.keys(asked).length ? asked : undefined;
}

/** A seed for each of so many pictures of a prompt: counting up over all prompts, or the same list for each. */
export function seedsOf({ seed, count }: SamplingFlags, prompts: number): readonly (readonly number[])[] {
  const each = (prompt: number): readonly number[] =>
    typeof seed === 'number' ? Array.from({ length: count }, (_, i) => seed + prompt * count + i) : seed;
  return Array.from({ length: prompts }, (_, prompt) => each(prompt));
}

/** Prompts of a file, one a line; blank lines and lines that begin with # do not count. */
export async function promptLines(file: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split(/\r?\n/).map((line) => line.trim());
  const prompts = lines.filter((line) => line && !line.startsWith('#'));
  if (prompts.length) return prompts;
  throw new Error(`sample: a file of prompts must have one a line, got none in ${file}. Write at least one.`);
}

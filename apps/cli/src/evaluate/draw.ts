import { appendFile, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PromptSuite } from '@star-webgpu/metrics';
import { pictureAt, type Pictures, type Pipeline, type PromptOptions } from '@star-webgpu/sampler';
import { countdown } from '../output.ts';
import { gridPng, picturePng } from '../pictures.ts';
import { promptBatches } from '../prompt-batches.ts';
import { writeWhole } from '../write-whole.ts';
import { digestOf } from './identity.ts';
import { readPicture, type PictureSource } from './sources.ts';

export interface DrawOptions {
  /** Where pictures go. */
  readonly folder: string;
  /** What tells the model and the options from others. */
  readonly identity: string;
  /** Seeds of each prompt's pictures. */
  readonly seeds: readonly number[];
  /** Pictures that are drawn together. */
  readonly batch: number;
  readonly sampling: PromptOptions;
  readonly signal: AbortSignal;
}

/** One picture that a suite asks for. */
interface Job {
  readonly file: string;
  readonly key: string;
  readonly prompt: string;
  readonly category?: string;
  readonly seed: number;
}

/** What drawing took. */
export interface Drawn {
  readonly source: PictureSource;
  /** Mean over all pictures, those of earlier runs included; undefined if none was timed. */
  readonly secondsEach: number | undefined;
}

/**
 * Draws the pictures of a suite that are not there yet, and gives all of them. A picture is written whole or not at all,
 * so that the same call goes on after a kill.
 */
export async function drawSuite(pipeline: Pipeline, suite: PromptSuite, options: DrawOptions): Promise<Drawn> {
  const { folder } = options;
  const jobs = jobsOf(suite, options);
  const missing = (
    await Promise.all(jobs.map(async (job) => ((await isThere(join(folder, job.file))) ? [] : [job])))
  ).flat();
  await drawMissing(pipeline, missing, { ...options, total: jobs.length });
  for (const [file, text] of suite.extras) await writeWhole(join(folder, file), text);
  if (suite.kind === 'dpg-bench') await joinGrids(suite, options);
  const source: PictureSource = {
    label: 'the drawn pictures',
    identity: digestOf(JSON.stringify([options.identity, jobs])),
    pictures: jobs.map(({ file, ...job }) => ({ ...job, read: () => readPicture(join(folder, file)) })),
    close: async () => {},
  };
  return { source, secondsEach: await meanSeconds(folder) };
}

function jobsOf({ prompts }: PromptSuite, { seeds }: DrawOptions): Job[] {
  return prompts.flatMap(({ key, prompt, category, files }) =>
    files(seeds.length).map((file, k) => ({
      file,
      key,
      prompt,
      ...(category !== undefined && { category }),
      seed: seeds[k]!,
    })),
  );
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    (info) => info.size > 0,
    () => false,
  );

async function drawMissing(
  pipeline: Pipeline,
  missing: readonly Job[],
  { folder, batch, sampling, signal, total }: DrawOptions & { readonly total: number },
): Promise<void> {
  const there = total - missing.length;
  const progress = countdown(missing.length, (done) => `drawn ${there + done} of ${total}`);
  let drawn = 0;
  for (const jobs of promptBatches(pipeline, missing, batch)) {
    const before = performance.now();
    const prompts = jobs.map(({ prompt }) => prompt);
    const pictures = await pipeline.pictures(prompts, { ...sampling, seed: jobs.map(({ seed }) => seed), signal });
    const seconds = (performance.now() - before) / 1000 / jobs.length;
    for (const [i, { file, seed }] of jobs.entries()) {
      await writeWhole(join(folder, file), await picturePng(pictureAt(pictures, i)));
      await appendFile(join(folder, timesFile), `${JSON.stringify({ file, seed, seconds })}\n`);
    }
    progress((drawn += jobs.length));
  }
}

/** Beside the pictures: a line for each with its seed and its time. */
const timesFile = 'drawn.jsonl';

/** Mean time of a picture; a line that a kill tore is left out, and so is the first, which also waits for compilers. */
async function meanSeconds(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, timesFile), 'utf8').catch(() => '');
  const times = text.split('\n').flatMap((line) => {
    const found = /"seconds":([\d.eE+-]+)\}$/.exec(line);
    return found ? [Number(found[1])] : [];
  });
  const counted = times.length > 1 ? times.slice(1) : times;
  return counted.length ? counted.reduce((sum, value) => sum + value, 0) / counted.length : undefined;
}

/** The grids that DPG-Bench's scorer reads: a prompt's pictures, two by two without gaps. */
async function joinGrids({ prompts }: PromptSuite, { folder, seeds }: DrawOptions): Promise<void> {
  for (const { key, files } of prompts) {
    const grid = join(folder, 'grids', `${key}.png`);
    if (await isThere(grid)) continue;
    const pictures = await Promise.all(files(seeds.length).map((file) => readPicture(join(folder, file))));
    const tiles: Pictures[] = pictures.map((picture) => ({ count: 1, ...picture }));
    await writeWhole(grid, (await gridPng(tiles, { columns: Math.ceil(Math.sqrt(seeds.length)), gap: 0 })).png);
  }
}

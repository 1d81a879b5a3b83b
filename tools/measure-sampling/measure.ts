import { type NamedPicture, type Picture, psnr, retrieval } from '../../packages/metrics/src/index.ts';
import { pictureAt, type Pipeline, type SamplingOptions } from '../../packages/sampler/src/index.ts';
import type { Setting, Sweep } from './settings.ts';

/** A picture of the training set and its caption. */
export interface Wanted extends NamedPicture {
  readonly caption: string;
}

/** What is drawn, and what it is compared with. */
export interface Task {
  readonly pipeline: Pipeline;
  readonly prompts: readonly Wanted[];
  /** Pictures among which a drawn one should be nearest to its own. */
  readonly gallery: readonly NamedPicture[];
  /** Each prompt is drawn with each of the two. */
  readonly seeds: readonly [number, number];
  readonly batch: number;
}

/** What a setting gives. */
export interface Measured {
  readonly sweep: string;
  readonly setting: string;
  /** Share of pictures that are nearest to their own. */
  readonly top1: number;
  /** Mean PSNR of drawn pictures against their own, in dB. */
  readonly psnr: number;
  /** Mean PSNR of the two pictures of a prompt against each other, in dB: low where seeds differ much. */
  readonly likeness: number;
}

/** Draws every prompt with one seed. */
async function drawAll(
  { pipeline, prompts, batch }: Task,
  seed: number,
  options: SamplingOptions,
): Promise<readonly Picture[]> {
  const pictures: Picture[] = [];
  for (let start = 0; start < prompts.length; start += batch) {
    const captions = prompts.slice(start, start + batch).map(({ caption }) => caption);
    const drawn = await pipeline.pictures(captions, { ...options, seed: captions.map(() => seed) });
    pictures.push(...captions.map((_, i) => pictureAt(drawn, i)));
  }
  return pictures;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** PSNR of pairs, in the mean; equal bytes count as 60 dB, so that the mean stays finite. */
const meanPsnr = (pairs: readonly (readonly [Picture, Picture])[]): number =>
  mean(pairs.map(([got, want]) => Math.min(60, psnr(got, want))));

/** Measures one setting of a sweep. */
export async function measureSetting(task: Task, { id }: Sweep, { name, options }: Setting): Promise<Measured> {
  const [first, second] = [await drawAll(task, task.seeds[0], options), await drawAll(task, task.seeds[1], options)];
  const wanted = [...task.prompts, ...task.prompts];
  const drawn = [...first, ...second];
  const samples = drawn.map((picture, i) => ({ key: wanted[i]!.key, picture }));
  const { top1 } = await retrieval({ samples, gallery: task.gallery });
  return {
    sweep: id,
    setting: name,
    top1,
    psnr: meanPsnr(drawn.map((picture, i) => [picture, wanted[i]!.picture])),
    likeness: meanPsnr(first.map((picture, i) => [picture, second[i]!])),
  };
}

/**
 * Seconds a picture of each setting: the quickest of some rounds over all of them, which others at work disturb least. The first batch of
 * a setting records it and is not timed.
 */
export async function timeSettings(
  { pipeline, prompts, batch }: Task,
  settings: readonly Setting[],
  rounds: number,
): Promise<number[]> {
  const captions = prompts.slice(0, batch).map(({ caption }) => caption);
  const best = settings.map(() => Infinity);
  for (let round = 0; round < rounds; round++)
    for (const [i, { options }] of settings.entries()) {
      const draw = (): Promise<unknown> => pipeline.pictures(captions, { ...options, seed: 1 });
      await draw();
      const before = performance.now();
      await draw();
      best[i] = Math.min(best[i]!, (performance.now() - before) / 1000 / batch);
    }
  return best;
}

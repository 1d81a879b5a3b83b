import { randomInt } from 'node:crypto';
import {
  pictureAt,
  type Pictures,
  type Pipeline,
  type PromptOptions,
  type ScaleStep,
  watchableWords,
} from '@star-webgpu/sampler';
import { imageSize } from '@star-webgpu/vqvae';
import { finishedEdit, resizedCanvas } from '../canvas.ts';
import { cutPrompts } from '../cut-prompts.ts';
import { mapsOfStep, type WordMap } from '../heat-maps.ts';
import { picturePng, type RawPicture, type Size } from '../pictures.ts';
import { askedCanvas } from './asked-canvas.ts';
import type { Limits } from './limits.ts';
import {
  type Asked,
  type AskedEdit,
  type DrawnPictures,
  type DrawnScale,
  samplingOf,
  type WordAttention,
} from './schema.ts';

const largestSeed = 2 ** 31;

export interface DrawingOptions {
  readonly limits: Limits;
  readonly signal: AbortSignal;
  /** Shown every scale, if given: decoding costs time. */
  readonly onScale?: (scale: DrawnScale) => void;
}

/** How the pictures of a request come to be, and what is shown of each. */
interface Work {
  readonly steps: AsyncGenerator<ScaleStep>;
  preview(picture: RawPicture): Promise<RawPicture>;
  finish(picture: RawPicture): Promise<RawPicture>;
}

/** Draws what a request asks for. @throws SamplingOptionsError, CanvasError, or the signal's reason */
export async function drawPictures(
  pipeline: Pipeline,
  asked: Asked | AskedEdit,
  { limits, signal, onScale }: DrawingOptions,
): Promise<DrawnPictures> {
  const { prompt, count, seed = randomInt(largestSeed), attention = false } = asked;
  const seeds = Array.from({ length: count }, (_, i) => seed + i);
  const words = attention === true ? watchableWords(pipeline, prompt) : attention || [];
  const options = { ...promptOptions(asked), ...(words.length && { watch: { words } }), seed: seeds, signal };
  const started = performance.now();
  const { steps, preview, finish } = await workOf(pipeline, asked, { options, limits });
  const scales = pipeline.star.config.patchNumbers.length;
  const maps: WordMap[][][] = [];
  let before = started;
  let drawn: Pictures | undefined;
  for await (const step of steps) {
    const { scale, map } = step;
    if (onScale || scale === scales - 1) drawn = await step.decode();
    if (words.length) maps.push(await mapsOfStep(step));
    const now = performance.now();
    if (onScale) {
      const pictures = (await pngs(drawn!, preview)).map(({ png }) => png);
      onScale({ scale, scales, milliseconds: now - before, map: sides(map), pictures });
    }
    before = now;
  }
  signal.throwIfAborted();
  const pictures = (await pngs(drawn!, finish)).map((picture, i) => ({ seed: seeds[i]!, ...picture }));
  const milliseconds = performance.now() - started;
  const notices = cutPrompts(pipeline.text, [prompt]);
  const found = attention && { attention: seeds.map((_, picture) => wordsOf(words, maps, picture)) };
  return { prompt, pictures, milliseconds, notices, ...found };
}

/** A drawing from nothing, or of a part of a given picture. */
async function workOf(
  pipeline: Pipeline,
  asked: Asked | AskedEdit,
  { options, limits }: { readonly options: PromptOptions; readonly limits: Limits },
): Promise<Work> {
  const prompts = new Array<string>(asked.count).fill(asked.prompt);
  if (!('image' in asked)) {
    const same = (picture: RawPicture): Promise<RawPicture> => Promise.resolve(picture);
    return { steps: pipeline.generate(prompts, options), preview: same, finish: same };
  }
  const { keepScales, feather, paste } = asked;
  const canvas = await askedCanvas(asked, limits);
  const small = await resizedCanvas(canvas, imageSize(pipeline.vqvae.config, asked.ratio));
  const kept = { ...(keepScales !== undefined && { keepScales }), ...(feather !== undefined && { feather }) };
  return {
    steps: pipeline.edit({ picture: small.picture, prompts }, { ...options, ...kept, region: small.region }),
    preview: (picture) => finishedEdit(picture, small, { paste }),
    finish: (picture) => finishedEdit(picture, canvas, { paste }),
  };
}

function promptOptions(asked: Asked): PromptOptions {
  const { negative } = asked;
  return { ...samplingOf(asked), ...(negative !== undefined && { negativePrompt: negative }) };
}

const sides = ({ width, height }: DrawnScale['map']): DrawnScale['map'] => ({ width, height });

/** The maps of each word of one picture. maps: of each scale, of each picture, of each word. */
const wordsOf = (words: readonly string[], maps: readonly WordMap[][][], picture: number): WordAttention[] =>
  words.map((word, w) => ({ word, scales: maps.map((scale) => scale[picture]![w]!) }));

interface Png extends Size {
  /** In base64. */
  readonly png: string;
}

/** Every picture as it is shown. */
const pngs = (pictures: Pictures, shown: (picture: RawPicture) => Promise<RawPicture>): Promise<Png[]> =>
  Promise.all(
    Array.from({ length: pictures.count }, async (_, i) => {
      const { width, height, data } = await shown(pictureAt(pictures, i));
      return { width, height, png: (await picturePng({ width, height, data })).toString('base64') };
    }),
  );

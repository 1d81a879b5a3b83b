import { randomInt } from 'node:crypto';
import { pictureAt, type Pictures, type Pipeline, type PromptOptions } from '@star-webgpu/sampler';
import { cutPrompts } from '../cut-prompts.ts';
import { picturePng } from '../pictures.ts';
import type { DrawnPictures, DrawnScale, Asked } from './schema.ts';

const largestSeed = 2 ** 31;

/** Draws what a request asks for; every scale is shown only to who wants it, as decoding costs time. @throws SamplingOptionsError, or the signal's reason */
export async function drawPictures(
  pipeline: Pipeline,
  { prompt, negative, count, seed = randomInt(largestSeed), ...asked }: Asked,
  { signal, onScale }: { readonly signal: AbortSignal; readonly onScale?: (scale: DrawnScale) => void },
): Promise<DrawnPictures> {
  const seeds = Array.from({ length: count }, (_, i) => seed + i);
  const options = { ...asked, ...(negative !== undefined && { negativePrompt: negative }) } as PromptOptions;
  const prompts = new Array<string>(count).fill(prompt);
  const scales = pipeline.star.config.patchNumbers.length;
  const started = performance.now();
  let before = started;
  let drawn: Pictures | undefined;
  for await (const { scale, map, decode } of pipeline.generate(prompts, { ...options, seed: seeds, signal })) {
    if (onScale || scale === scales - 1) drawn = await decode();
    const now = performance.now();
    if (onScale) onScale({ scale, scales, milliseconds: now - before, map: sides(map), pictures: await pngs(drawn!) });
    before = now;
  }
  signal.throwIfAborted();
  const [finished, milliseconds] = [drawn!, performance.now() - started];
  const { width, height } = finished;
  const pictures = (await pngs(finished)).map((png, i) => ({ seed: seeds[i]!, width, height, png }));
  return { prompt, pictures, milliseconds, notices: cutPrompts(pipeline.text, [prompt]) };
}

const sides = ({ width, height }: DrawnScale['map']): DrawnScale['map'] => ({ width, height });

/** Every picture as a PNG in base64. */
const pngs = (pictures: Pictures): Promise<string[]> =>
  Promise.all(
    Array.from({ length: pictures.count }, async (_, i) =>
      (await picturePng(pictureAt(pictures, i))).toString('base64'),
    ),
  );

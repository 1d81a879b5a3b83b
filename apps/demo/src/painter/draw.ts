import {
  type EditOptions,
  pasteOutside,
  type Pictures,
  type Pipeline,
  type ScaleStep,
  watchableWords,
} from '@star-webgpu/sampler';
import type { DrawnScale, Order, Pixels, Redrawing, WordMap } from './painter.ts';
import { changedOptions } from './settings.ts';

/** What is to be drawn: a picture, or a part of one. */
export interface Task {
  readonly order: Order;
  readonly redrawing: Redrawing | undefined;
}

/** Draws one picture and yields every scale with its words' maps as it is finished. @throws AbortError once the signal is aborted */
export async function* drawScales(
  pipeline: Pipeline,
  { order: { prompt, seed, ...settings }, redrawing }: Task,
  signal: AbortSignal,
): AsyncGenerator<{ readonly drawn: DrawnScale; readonly maps: readonly WordMap[] }, void, undefined> {
  const words = watchableWords(pipeline, prompt);
  const watch = words.length ? { watch: { words } } : {};
  const options = { ...changedOptions(settings, pipeline.defaults), ...watch, seed, signal };
  const edit = redrawing && editOf(redrawing);
  const steps = edit
    ? pipeline.edit({ picture: edit.picture, prompts: [prompt] }, { ...options, ...edit.kept })
    : pipeline.generate([prompt], options);
  let before = performance.now();
  for await (const step of steps) {
    const decoded = await step.decode();
    const maps = await mapsOf(step, words);
    const now = performance.now();
    const pixels = withAlpha(edit ? edit.pasted(decoded) : decoded);
    yield { drawn: { scale: step.scale, milliseconds: now - before, pixels }, maps };
    before = now;
  }
}

/** A picture that is changed, and how. */
interface Edit {
  readonly picture: Pictures;
  readonly kept: EditOptions;
  pasted(drawn: Pictures): Pictures;
}

function editOf({ original, mask, keepScales = 0 }: Redrawing): Edit {
  const picture = withoutAlpha(original);
  if (!mask) return { picture, kept: { keepScales }, pasted: (drawn) => drawn };
  const { width, height } = original;
  const region = { width, height, data: Float32Array.from(mask) };
  // A seam inside of the mask, a thirty-second of the picture wide.
  const seam = Math.round(Math.min(width, height) / 32);
  return { picture, kept: { region, keepScales }, pasted: (drawn) => pasteOutside(picture, drawn, region, seam) };
}

async function mapsOf({ scale, map, watched_BWl }: ScaleStep, words: readonly string[]): Promise<WordMap[]> {
  if (!watched_BWl) return [];
  const shares = Float32Array.from(await watched_BWl.data());
  const tokens = map.width * map.height;
  return words.map((word, i) => ({ word, scale, ...map, shares: shares.slice(i * tokens, (i + 1) * tokens) }));
}

/** RGB to the RGBA of a canvas. */
export function withAlpha({ width, height, data }: Omit<Pictures, 'count'>): Pixels {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(data.subarray(i * 3, i * 3 + 3), i * 4);
  return { width, height, data: rgba };
}

/** RGBA to RGB. */
function withoutAlpha({ width, height, data }: Pixels): Pictures {
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) rgb.set(data.subarray(i * 4, i * 4 + 3), i * 3);
  return { count: 1, width, height, data: rgb };
}

import type { Pictures, Pipeline, ScaleStep } from '@star-webgpu/sampler';
import type { DrawnScale, Order, Pixels } from './protocol.ts';

/** Draws one picture and yields every scale as it is finished. @throws AbortError once the signal is aborted */
export async function* drawScales(
  pipeline: Pipeline,
  { prompt, ...options }: Order,
  signal: AbortSignal,
): AsyncGenerator<DrawnScale, void, undefined> {
  let before = performance.now();
  for await (const step of pipeline.generate([prompt], { ...options, signal })) {
    const pixels = await pixelsOf(step);
    const now = performance.now();
    yield { scale: step.scale, milliseconds: now - before, pixels };
    before = now;
  }
}

const pixelsOf = async (step: ScaleStep): Promise<Pixels> => withAlpha(await step.decode());

/** RGB to the RGBA of a canvas. */
function withAlpha({ width, height, data }: Pictures): Pixels {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(data.subarray(i * 3, i * 3 + 3), i * 4);
  return { width, height, data: rgba };
}

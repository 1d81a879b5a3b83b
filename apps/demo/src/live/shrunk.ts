import type { DrawnScale, Pixels } from '../painter/painter.ts';

/** Longest side of a coarse scale that is kept: it has no finer detail, and a gallery of large ones would fill the memory. */
const longest = 256;

/** A scale whose picture is small enough to be kept. */
export const shrunk = (scale: DrawnScale): DrawnScale => ({ ...scale, pixels: smaller(scale.pixels) });

function smaller(pixels: Pixels): Pixels {
  const times = longest / Math.max(pixels.width, pixels.height);
  if (times >= 1) return pixels;
  const [width, height] = [Math.round(pixels.width * times), Math.round(pixels.height * times)];
  const whole = new OffscreenCanvas(pixels.width, pixels.height);
  whole.getContext('2d')!.putImageData(new ImageData(pixels.data, pixels.width, pixels.height), 0, 0);
  const context = new OffscreenCanvas(width, height).getContext('2d')!;
  context.drawImage(whole, 0, 0, width, height);
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

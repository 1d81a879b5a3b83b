import type { Pixels } from './protocol.ts';

/** Puts a picture on a canvas, which takes the picture's size. */
export function showPixels(canvas: HTMLCanvasElement, { width, height, data }: Pixels): void {
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d')?.putImageData(new ImageData(data, width, height), 0, 0);
}

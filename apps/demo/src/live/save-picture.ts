import { lastOrder } from './recipe.ts';
import type { Picture } from './use-gallery.ts';

/** Saves a picture as a PNG that is named by its prompt and seed. */
export async function savePicture({ pixels, recipe }: Picture): Promise<void> {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext('2d')!.putImageData(new ImageData(pixels.data, pixels.width, pixels.height), 0, 0);
  const { prompt, seed } = lastOrder(recipe);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await canvas.convertToBlob({ type: 'image/png' }));
  link.download = `${prompt.replace(/[^\p{Letter}\p{Number}]+/gu, '-') || 'picture'}-${seed}.png`;
  link.click();
  URL.revokeObjectURL(link.href);
}

import { toPixels } from '@star-webgpu/data-lmdb';
import { type Pictures, wholeRegion } from '@star-webgpu/sampler';
import sharp from 'sharp';
import { boxOf, type Canvas, CanvasError, extended, regionOfMask } from '../canvas.ts';
import type { AskedEdit } from './schema.ts';

const signatures: readonly (readonly number[])[] = [
  [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], // PNG
  [0xff, 0xd8, 0xff], // JPEG
];

/** The picture of a request, and what of it is to be drawn. @throws CanvasError naming what cannot be used */
export async function askedCanvas(
  { image, mask, box, outpaint }: AskedEdit,
  { pixels }: { readonly pixels: number },
): Promise<Canvas> {
  const picture = await decoded('image', image, pixels);
  if (mask !== undefined) return { picture, region: regionOfMask(await decoded('mask', mask, pixels), picture) };
  if (box) return { picture, region: boxOf(box, picture) };
  if (!outpaint) return { picture, region: wholeRegion(picture) };
  const { left, top, right, bottom } = outpaint;
  checkPixels('canvas', { width: left + picture.width + right, height: top + picture.height + bottom }, pixels);
  return extended(picture, outpaint);
}

/** Decodes a file, once its kind and its size are known to be fit: other kinds may name files and addresses, or unfold without end. */
async function decoded(name: string, base64: string, most: number): Promise<Pictures> {
  const bytes = Buffer.from(base64, 'base64');
  if (!signatures.some((signature) => signature.every((byte, i) => bytes[i] === byte)))
    throw new CanvasError(
      `the ${name} must be a PNG or a JPEG, got ${bytes.length} bytes of something else. Send one in base64.`,
    );
  try {
    checkPixels(name, await sharp(bytes).metadata(), most);
    return { count: 1, ...(await toPixels(bytes)) };
  } catch (cause) {
    if (cause instanceof CanvasError) throw cause;
    // What the decoder says may be of another request: it gathers its messages for the whole process.
    throw new CanvasError(
      `the ${name} must be whole, got ${bytes.length} bytes of damaged or cut off data. Send it again.`,
      { cause },
    );
  }
}

function checkPixels(name: string, { width, height }: { width: number; height: number }, most: number): void {
  if (width * height > most)
    throw new CanvasError(
      `the ${name} must have at most ${most} pixels, got ${width} x ${height}. Send a smaller one.`,
    );
}

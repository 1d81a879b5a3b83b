import type { PictureSize } from './buckets.ts';
import { upright } from './decode.ts';

/** Write pictures anew as PNG on white, at their own size or resized to a square of `size` pixels. */
export interface PngEncoding {
  format: 'png';
  size?: number;
}

/** The whole picture resized to a square by `toSize`. Returns RGB bytes, [size, size, 3]. */
export const toSquare = (bytes: Uint8Array, size: number): Promise<Uint8Array> =>
  toSize(bytes, { height: size, width: size });

/**
 * The whole picture resized by Lanczos, on white where it is transparent, without cropping: another ratio squeezes it.
 * Returns RGB bytes, [height, width, 3].
 */
export async function toSize(bytes: Uint8Array, size: PictureSize): Promise<Uint8Array> {
  return await resized(bytes, size).raw().toBuffer();
}

/** The picture at its own size, upright and on white. RGB bytes, [height, width, 3]. */
export async function toPixels(bytes: Uint8Array): Promise<PictureSize & { readonly data: Uint8Array }> {
  const { data, info } = await upright(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

/** The picture as PNG bytes, upright and on white. */
export async function toPng(bytes: Uint8Array, { size }: PngEncoding): Promise<Uint8Array> {
  const picture = size === undefined ? upright(bytes) : resized(bytes, { height: size, width: size });
  return await picture.png({ compressionLevel: 6 }).toBuffer();
}

/** 8-bit levels in [-1, 1]. */
const LEVELS = Float32Array.from({ length: 256 }, (_, level) => level / 127.5 - 1);

/** Writes RGB bytes [H, W, 3] as planes [3, H, W] in [-1, 1] into `target`, from `offset` on. */
export function toPlanes(pixels: Uint8Array, target: Float32Array, offset: number): void {
  const area = pixels.length / 3;
  let [red, green, blue] = [offset, offset + area, offset + 2 * area];
  for (let i = 0; i < pixels.length; i += 3) {
    target[red++] = LEVELS[pixels[i] as number] as number;
    target[green++] = LEVELS[pixels[i + 1] as number] as number;
    target[blue++] = LEVELS[pixels[i + 2] as number] as number;
  }
}

function resized(bytes: Uint8Array, { height, width }: PictureSize): ReturnType<typeof upright> {
  return upright(bytes).resize(width, height, { fit: 'fill', kernel: 'lanczos3' });
}

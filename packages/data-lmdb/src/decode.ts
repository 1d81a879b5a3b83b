import sharp, { type Sharp } from 'sharp';

/** Pictures whose bytes are damaged are refused rather than shown half grey. */
const STRICT = { failOn: 'error' } as const;
export const WHITE = '#ffffff';

/** Size and kind of a picture. */
export interface PictureInfo {
  /** Pixels, after EXIF rotation. */
  width: number;
  /** Pixels, after EXIF rotation. */
  height: number;
  /** Media type, such as `image/png`. */
  mime: string;
}

/** The picture upright, on white where it is transparent, in 8-bit sRGB. */
export function upright(bytes: Uint8Array): Sharp {
  return sharp(bytes, STRICT).autoOrient().flatten({ background: WHITE }).toColourspace('srgb');
}

/** Size and kind of a picture; decodes all of it, so that a truncated or corrupt one throws here. */
export async function inspectPicture(bytes: Uint8Array): Promise<PictureInfo> {
  const { format } = await sharp(bytes, STRICT).metadata();
  const { info } = await upright(bytes).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, mime: `image/${format}` };
}

/** One thread for each decode: whoever calls decodes several pictures at once instead. */
export function decodeSingleThreaded(): void {
  sharp.concurrency(1);
}

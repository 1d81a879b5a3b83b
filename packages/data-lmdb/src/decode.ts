import sharp, { type Sharp } from 'sharp';

/** Pictures whose bytes are damaged are refused rather than shown half grey. */
const STRICT = { failOn: 'error' } as const;
/** What sharp decodes at most: a small file must not ask for all memory. */
const MAX_PIXELS = 0x3fff * 0x3fff;
/** The ground under transparent pictures. */
const WHITE = '#ffffff';

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

/**
 * Size and kind of a picture; decodes all of it, so that a truncated or corrupt one throws here.
 * The reasons are our own words: libvips gathers its messages for the whole process, not for a picture.
 */
export async function inspectPicture(bytes: Uint8Array): Promise<PictureInfo> {
  const format = await formatOf(bytes);
  const decoding = upright(bytes).raw().toBuffer({ resolveWithObject: true });
  const { info } = await decoding.catch((cause: unknown) => {
    throw new Error(`its ${format.toUpperCase()} data is damaged or cut short`, { cause });
  });
  return { width: info.width, height: info.height, mime: `image/${format}` };
}

async function formatOf(bytes: Uint8Array): Promise<string> {
  if (bytes.length === 0) throw new Error('the file is empty');
  const { format, width, height } = await sharp(bytes, { ...STRICT, limitInputPixels: false })
    .metadata()
    .catch((cause: unknown) => {
      throw new Error('no picture format that is known', { cause });
    });
  if (width * height > MAX_PIXELS) throw new Error(`${width} x ${height} are more than ${MAX_PIXELS} pixels`);
  return format;
}

/** One thread for each decode: whoever calls decodes several pictures at once instead. */
export function decodeSingleThreaded(): void {
  sharp.concurrency(1);
}

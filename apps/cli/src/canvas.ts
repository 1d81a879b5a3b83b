import { readFile } from 'node:fs/promises';
import { toPixels } from '@star-webgpu/data-lmdb';
import { type Box, boxRegion, type Pictures, type Region } from '@star-webgpu/sampler';
import { rawImage, resizedShares, type Size } from './pictures.ts';

/** Pixels that a canvas has more than its picture, on each side. */
export interface Margins {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A picture on its canvas, and what of it is to be drawn. */
export interface Canvas {
  readonly picture: Pictures;
  readonly region: Region;
}

/** Reads any picture that sharp knows as upright RGB bytes on white. @throws Error naming the file if it is none */
export async function readPicture(file: string): Promise<Pictures> {
  try {
    return { count: 1, ...(await toPixels(await readFile(file))) };
  } catch (cause) {
    throw new Error(
      `edit: ${file} must be a picture that can be read, got "${(cause as Error).message}". Give a PNG, JPEG, WebP or the like.`,
      { cause },
    );
  }
}

/** Reads a mask: white is drawn anew, black stays. @throws Error unless it has the picture's size */
export async function readMask(file: string, picture: Size): Promise<Region> {
  const { width, height, data } = await readPicture(file);
  if (width !== picture.width || height !== picture.height)
    throw new Error(
      `edit: the mask must have the picture's ${picture.width} x ${picture.height} pixels, got ${width} x ${height}. Paint it over a copy of the picture.`,
    );
  return { width, height, data: Float32Array.from({ length: width * height }, (_, i) => data[3 * i]! / 255) };
}

/** A larger canvas with the picture on it: what lies outside is drawn, and shows the nearest pixel of the picture until then. */
export async function extended(picture: Pictures, { left, top, right, bottom }: Margins): Promise<Canvas> {
  const { data, info } = await rawImage(picture)
    .extend({ left, top, right, bottom, extendWith: 'copy' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const kept = boxRegion({ left, top, width: picture.width, height: picture.height }, { width, height });
  return {
    picture: { count: 1, width, height, data: new Uint8Array(data) },
    region: { width, height, data: kept.data.map((inside) => 1 - inside) },
  };
}

/** The same region at another size: shares of pixels. */
export const resizedRegion = async ({ data, ...sides }: Region, size: Size): Promise<Region> => ({
  ...size,
  data: await resizedShares({ ...sides, shares: data }, size, 'linear'),
});

/** A box that must touch the picture. @throws Error otherwise */
export function boxOf(box: Box, picture: Size): Region {
  const region = boxRegion(box, picture);
  if (region.data.includes(1)) return region;
  throw new Error(
    `edit: the box must touch the picture of ${picture.width} x ${picture.height} pixels, got ${Object.values(box).join(',')}. Give left,top,width,height in pixels.`,
  );
}

import { readFile } from 'node:fs/promises';
import { toPixels } from '@star-webgpu/data-lmdb';
import { type Box, boxRegion, pasteOutside, type Pictures, type Region } from '@star-webgpu/sampler';
import { rawImage, type RawPicture, resizedPicture, resizedShares, type Size } from './pictures.ts';

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

/** A picture or a region that cannot be edited. */
export class CanvasError extends Error {
  constructor(fault: string, options?: ErrorOptions) {
    super(`edit: ${fault}`, options);
    this.name = 'CanvasError';
  }
}

/** Reads any picture that sharp knows as upright RGB bytes on white. @throws CanvasError naming the file if it is none */
export async function readPicture(file: string): Promise<Pictures> {
  try {
    return { count: 1, ...(await toPixels(await readFile(file))) };
  } catch (cause) {
    throw new CanvasError(
      `${file} must be a picture that can be read, got "${(cause as Error).message}". Give a PNG, JPEG, WebP or the like.`,
      { cause },
    );
  }
}

/** What a mask marks: white is drawn anew, black stays. @throws CanvasError unless it has the picture's size, some white and some black */
export function regionOfMask({ width, height, data }: Pictures, picture: Size): Region {
  if (width !== picture.width || height !== picture.height)
    throw new CanvasError(
      `the mask must have the picture's ${picture.width} x ${picture.height} pixels, got ${width} x ${height}. Paint it over a copy of the picture.`,
    );
  const reds = data.filter((_, i) => i % 3 === 0);
  if (reds.every((red) => red === 0))
    throw new CanvasError('the mask must be white where to draw, got only black. Paint a part white.');
  if (reds.every((red) => red === 255))
    throw new CanvasError('the mask must be black where the picture stays, got only white. Paint a part black.');
  return { width, height, data: Float32Array.from(reds, (red) => red / 255) };
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

/** A box that must touch the picture. @throws CanvasError otherwise */
export function boxOf(box: Box, picture: Size): Region {
  const region = boxRegion(box, picture);
  if (region.data.includes(1)) return region;
  throw new CanvasError(
    `the box must touch the picture of ${picture.width} x ${picture.height} pixels, got ${Object.values(box).join(',')}. Give left,top,width,height in pixels.`,
  );
}

/** Width of the seam, as a share of the picture's shorter side. */
const seamShare = 1 / 32;

/** The canvas at another size, or itself. */
export async function resizedCanvas({ picture, region }: Canvas, size: Size): Promise<Canvas> {
  if (picture.width === size.width && picture.height === size.height) return { picture, region };
  return {
    picture: { count: 1, ...(await resizedPicture(picture, size)) },
    region: await resizedRegion(region, size),
  };
}

/** A result at the canvas' size, with the canvas' pixels outside the region unless they are not to be pasted. */
export async function finishedEdit(
  drawn: RawPicture,
  { picture, region }: Canvas,
  { paste }: { readonly paste: boolean },
): Promise<Pictures> {
  const result = { count: 1, ...(await resizedPicture(drawn, picture)) };
  if (!paste) return result;
  return pasteOutside(picture, result, region, Math.round(seamShare * Math.min(picture.width, picture.height)));
}

/** The same region at another size: shares of pixels. */
const resizedRegion = async ({ data, ...sides }: Region, size: Size): Promise<Region> => ({
  ...size,
  data: await resizedShares({ ...sides, shares: data }, size, 'linear'),
});

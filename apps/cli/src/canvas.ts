import { type Box, boxRegion, type Pictures, type Region } from '@star-webgpu/sampler';
import sharp, { type OutputInfo, type Sharp } from 'sharp';

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

/** Sides of a picture and a region. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/** Reads any picture that sharp knows as upright RGB bytes on white. @throws Error naming the file if it is none */
export async function readPicture(file: string): Promise<Pictures> {
  const { data, info } = await rawPixels(sharp(file, { failOn: 'error' }), file);
  return { count: 1, width: info.width, height: info.height, data: new Uint8Array(data) };
}

const rawPixels = (image: Sharp, file: string): Promise<{ data: Buffer; info: OutputInfo }> =>
  image
    .rotate()
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((error: Error) => {
      throw new Error(
        `edit: ${file} must be a picture that can be read, got "${error.message}". Give a PNG, JPEG, WebP or the like.`,
      );
    });

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
  const { data, info } = await sharp(picture.data, {
    raw: { width: picture.width, height: picture.height, channels: 3 },
  })
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

/** The same picture at another size. */
export async function resizedPicture(picture: Pictures, size: Size): Promise<Pictures> {
  if (picture.width === size.width && picture.height === size.height) return picture;
  const data = await sharp(picture.data, { raw: { width: picture.width, height: picture.height, channels: 3 } })
    .resize(size.width, size.height, { fit: 'fill', kernel: 'lanczos3' })
    .raw()
    .toBuffer();
  return { count: 1, ...size, data: new Uint8Array(data) };
}

/** The same region at another size: shares of pixels. */
export async function resizedRegion(region: Region, size: Size): Promise<Region> {
  const bytes = Uint8Array.from(region.data, (share) => Math.round(255 * share));
  const data = await sharp(bytes, { raw: { width: region.width, height: region.height, channels: 1 } })
    .resize(size.width, size.height, { fit: 'fill', kernel: 'linear' })
    .extractChannel(0)
    .raw()
    .toBuffer();
  return { ...size, data: Float32Array.from(data, (byte) => byte / 255) };
}

/** A box that must touch the picture. @throws Error otherwise */
export function boxOf(box: Box, picture: Size): Region {
  const region = boxRegion(box, picture);
  if (region.data.includes(1)) return region;
  throw new Error(
    `edit: the box must touch the picture of ${picture.width} x ${picture.height} pixels, got ${Object.values(box).join(',')}. Give left,top,width,height in pixels.`,
  );
}

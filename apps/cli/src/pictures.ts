import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pictureAt, type Pictures } from '@star-webgpu/sampler';
import sharp, { type Sharp } from 'sharp';

/** A file name from a prompt: letters and digits of any script. */
export function fileStem(prompt: string): string {
  const words = prompt.toLowerCase().match(/[\p{Letter}\p{Number}]+/gu) ?? [];
  return words.join('-').slice(0, 60) || 'picture';
}

/** Small pictures in a grid are enlarged to this longer side by repeating pixels, so that a person sees them. */
const leastSide = 64;

/** One picture as RGB bytes, [H, W, 3]. */
export interface RawPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Sides in pixels. */
export type Size = Pick<RawPicture, 'width' | 'height'>;

/** A picture as sharp takes it. */
export const rawImage = ({ width, height, data }: RawPicture): Sharp =>
  sharp(data, { raw: { width, height, channels: 3 } });

/** The whole picture at another size, or itself. */
export async function resizedPicture(
  picture: RawPicture,
  { width, height }: Size,
  kernel: 'lanczos3' | 'nearest' = 'lanczos3',
): Promise<RawPicture> {
  if (picture.width === width && picture.height === height) return picture;
  const data = await rawImage(picture).resize(width, height, { fit: 'fill', kernel }).raw().toBuffer();
  return { width, height, data: new Uint8Array(data) };
}

/** A map of shares from 0 to 1, row by row. */
export interface ShareMap extends Size {
  readonly shares: ArrayLike<number>;
}

/** The map at another size, in 256 steps. */
export async function resizedShares(
  { width, height, shares }: ShareMap,
  size: Size,
  kernel: 'linear' | 'cubic',
): Promise<Float32Array> {
  const bytes = Uint8Array.from(shares, (share) => Math.round(255 * share));
  const resized = await sharp(bytes, { raw: { width, height, channels: 1 } })
    .resize(size.width, size.height, { fit: 'fill', kernel })
    .extractChannel(0)
    .raw()
    .toBuffer();
  return Float32Array.from(resized, (byte) => byte / 255);
}

/** A picture as PNG bytes at its own size. */
export const picturePng = (picture: RawPicture): Promise<Buffer> => rawImage(picture).png().toBuffer();

/** Writes one picture of several as a PNG at its own size. */
export async function writePicture(pictures: Pictures, index: number, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, await picturePng(pictureAt(pictures, index)));
}

/** How pictures are laid out: in so many columns, and of each batch all or only one. */
export interface Layout {
  readonly columns: number;
  readonly only?: number;
}

/** Writes pictures of one size side by side, row by row. */
export async function writeGrid(all: readonly Pictures[], layout: Layout, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, (await pictureGrid(all, layout)).png);
}

/** Pictures side by side, row by row, in one PNG. */
export function pictureGrid(all: readonly Pictures[], { columns, only }: Layout): ReturnType<typeof gridPng> {
  const chosen = ({ count }: Pictures): number[] =>
    only === undefined ? [...new Array<number>(count).keys()] : [only];
  const tiles = all.flatMap((pictures) => chosen(pictures).map((i) => pictureAt(pictures, i)));
  return gridPng(tiles, { columns, gap: 4, longest: shownSide(tiles[0]!) });
}

const shownSide = ({ width, height }: Size): number => Math.max(leastSide, width, height);

export interface GridOptions {
  readonly columns: number;
  /** Pixels around each picture. */
  readonly gap: number;
  /** Longer side of each picture; its own by default. Enlarged pixels are repeated. */
  readonly longest?: number;
}

/** Pictures side by side, row by row, each in a cell as large as the first. */
export async function gridPng(
  tiles: readonly RawPicture[],
  { columns, gap, longest }: GridOptions,
): Promise<{ png: Buffer; width: number; height: number }> {
  const first = tiles[0]!;
  const scale = (longest ?? Math.max(first.width, first.height)) / Math.max(first.width, first.height);
  const [width, height] = [first.width, first.height].map((side) => Math.round(side * scale)) as [number, number];
  const composites = await Promise.all(
    tiles.map(async (tile, i) => ({
      input: await cellOf(tile, { width, height }),
      left: gap + (i % columns) * (width + gap),
      top: gap + Math.floor(i / columns) * (height + gap),
    })),
  );
  const side = {
    width: gap + Math.min(columns, tiles.length) * (width + gap),
    height: gap + Math.ceil(tiles.length / columns) * (height + gap),
  };
  const canvas = { ...side, channels: 3 as const, background: 'white' };
  return { png: await sharp({ create: canvas }).composite(composites).png().toBuffer(), ...side };
}

const cellOf = (tile: RawPicture, cell: Size): Promise<Buffer> =>
  rawImage(tile)
    .resize({
      ...cell,
      fit: 'contain',
      background: 'white',
      kernel: tile.width > cell.width ? 'lanczos3' : 'nearest',
    })
    .png()
    .toBuffer();

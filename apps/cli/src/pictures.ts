import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pictureAt, type Pictures } from '@star-webgpu/sampler';
import sharp from 'sharp';

/** A file name from a prompt: letters and digits of any script. */
export function fileStem(prompt: string): string {
  const words = prompt.toLowerCase().match(/[\p{Letter}\p{Number}]+/gu) ?? [];
  return words.join('-').slice(0, 60) || 'picture';
}

/** Small pictures in a grid are enlarged to this longer side by repeating pixels, so that a person sees them. */
const leastSide = 64;

const rawOf = ({ width, height }: Pictures): { width: number; height: number; channels: 3 } => ({
  width,
  height,
  channels: 3,
});

/** Writes one picture of several as a PNG at its own size. */
export async function writePicture(pictures: Pictures, index: number, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const one = pictureAt(pictures, index);
  await sharp(one.data, { raw: rawOf(one) })
    .png()
    .toFile(file);
}

/** How pictures are laid out: in so many columns, and of each batch all or only one. */
export interface Layout {
  readonly columns: number;
  readonly only?: number;
}

/** Writes pictures of one size side by side, row by row. */
export async function writeGrid(all: readonly Pictures[], { columns, only }: Layout, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const chosen = ({ count }: Pictures): number[] =>
    only === undefined ? [...new Array<number>(count).keys()] : [only];
  const tiles = all.flatMap((pictures) => chosen(pictures).map((i) => pictureAt(pictures, i)));
  const first = tiles[0]!;
  const enlargement = Math.max(1, leastSide / Math.max(first.width, first.height));
  const [width, height] = [first.width, first.height].map((side) => Math.round(side * enlargement)) as [number, number];
  const gap = 4;
  const composites = await Promise.all(
    tiles.map(async (tile, i) => ({
      input: await sharp(tile.data, { raw: rawOf(tile) })
        .resize(width, height, { kernel: 'nearest' })
        .png()
        .toBuffer(),
      left: gap + (i % columns) * (width + gap),
      top: gap + Math.floor(i / columns) * (height + gap),
    })),
  );
  const rows = Math.ceil(tiles.length / columns);
  const canvas = {
    width: gap + columns * (width + gap),
    height: gap + rows * (height + gap),
    channels: 3 as const,
    background: 'white',
  };
  await sharp({ create: canvas }).composite(composites).png().toFile(file);
}

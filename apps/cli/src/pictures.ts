import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pictureAt, type Pictures } from '@star-webgpu/sampler';
import sharp from 'sharp';

/** Nearest-neighbour enlargement of small pictures, so that a person sees them. */
const shownSide = 256;

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

/** Writes pictures of one size side by side, row by row, enlarged to at least 64 px and at most 256. */
export async function writeGrid(all: readonly Pictures[], columns: number, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const tiles = all.flatMap((pictures) => Array.from({ length: pictures.count }, (_, i) => pictureAt(pictures, i)));
  const first = tiles[0]!;
  const side = Math.max(first.width, Math.min(shownSide, 64));
  const gap = 4;
  const composites = await Promise.all(
    tiles.map(async (tile, i) => ({
      input: await sharp(tile.data, { raw: rawOf(tile) })
        .resize(side, side, { kernel: 'nearest' })
        .png()
        .toBuffer(),
      left: gap + (i % columns) * (side + gap),
      top: gap + Math.floor(i / columns) * (side + gap),
    })),
  );
  const rows = Math.ceil(tiles.length / columns);
  const canvas = {
    width: gap + columns * (side + gap),
    height: gap + rows * (side + gap),
    channels: 3 as const,
    background: 'white',
  };
  await sharp({ create: canvas }).composite(composites).png().toFile(file);
}

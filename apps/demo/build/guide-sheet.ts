import sharp, { type OverlayOptions, type Sharp } from 'sharp';

/** Pictures in rows. */
export interface Group {
  readonly files: readonly string[];
  readonly columns: number;
}

/** How large the tiles are, in pixels. */
const side = 96;
/** White around each tile, and twice that between groups. */
const gap = 4;
const pitch = side + gap;

/** Draws groups of pictures beside each other, from the left, on white. */
export async function writeSheet(file: string, groups: readonly Group[]): Promise<void> {
  const tiles: OverlayOptions[] = [];
  let left = gap;
  for (const { files, columns } of groups) {
    for (const [i, one] of files.entries())
      tiles.push({
        input: await sharp(one).resize(side, side, { kernel: 'nearest' }).toBuffer(),
        left: left + (i % columns) * pitch,
        top: gap + Math.floor(i / columns) * pitch,
      });
    left += columns * pitch + 2 * gap;
  }
  const rows = Math.max(...groups.map(({ files, columns }) => Math.ceil(files.length / columns)));
  const height = gap + rows * pitch;
  const sheet = sharp({ create: { width: left - 2 * gap, height, channels: 3, background: '#fff' } });
  await writeWebp(file, sheet.composite(tiles));
}

/** Writes a picture as the guides show it. */
export const writeWebp = (file: string, picture: Sharp): Promise<unknown> => picture.webp({ quality: 90 }).toFile(file);

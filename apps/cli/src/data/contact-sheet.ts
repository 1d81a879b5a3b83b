import type { PackedPicture } from '@star-webgpu/data-lmdb';
import sharp, { type OverlayOptions } from 'sharp';

/** Pixels around each picture, and of the lines under it. */
const gap = 6;
const captionHeight = 40;

interface Sheet {
  readonly columns: number;
  /** Longer side of each picture. */
  readonly side: number;
}

/** Pictures in rows, each with its main caption under it, as a PNG. Captions are drawn with the fonts that the system has. */
export async function contactSheet(
  pictures: readonly Pick<PackedPicture, 'image' | 'captions'>[],
  { columns, side }: Sheet,
): Promise<Buffer> {
  const cell = { width: side + gap, height: side + captionHeight + 2 * gap };
  const overlays: OverlayOptions[] = [];
  for (const [i, { image, captions }] of pictures.entries()) {
    const left = gap + (i % columns) * cell.width;
    const top = gap + Math.floor(i / columns) * cell.height;
    overlays.push({ input: await shown(image, side), left, top });
    const caption = await written(captions[0]!, side);
    if (caption) overlays.push({ input: caption, left, top: top + side + gap / 2 });
  }
  const width = gap + Math.min(columns, pictures.length) * cell.width;
  const height = gap + Math.ceil(pictures.length / columns) * cell.height;
  return await sharp({ create: { width, height, channels: 3, background: 'white' } })
    .composite(overlays)
    .png()
    .toBuffer();
}

const shown = (image: Uint8Array, side: number): Promise<Buffer> =>
  sharp(image)
    .autoOrient()
    .flatten({ background: 'white' })
    .resize(side, side, { fit: 'contain', background: '#eee' })
    .png()
    .toBuffer();

/** Lines of a caption, cut at the height that there is for them; nothing for one without a letter to see. */
async function written(caption: string, width: number): Promise<Buffer | undefined> {
  const text = caption.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const drawing = sharp({ text: { text, width, font: 'sans 8', dpi: 96, rgba: true, wrap: 'word-char' } });
  const drawn = await drawing
    .png()
    .toBuffer({ resolveWithObject: true })
    .catch(() => undefined);
  if (drawn === undefined) return undefined;
  const size = { width: Math.min(width, drawn.info.width), height: Math.min(captionHeight, drawn.info.height) };
  return await sharp(drawn.data)
    .extract({ left: 0, top: 0, ...size })
    .toBuffer();
}

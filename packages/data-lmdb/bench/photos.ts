import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

/** Writes JPEG files with captions that cost as much to decode as photographs do: smooth shapes, edges and grain. */
export async function writePhotos(folder: string, { count, side }: { count: number; side: number }): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    const name = join(folder, String(i).padStart(6, '0'));
    await writeFile(`${name}.jpg`, await photo(i, side));
    await writeFile(`${name}.txt`, `photo ${i} of a bench\nanother caption of ${i}`);
  }
}

async function photo(seed: number, side: number): Promise<Buffer> {
  const pixels = new Uint8Array(side * side * 3);
  let grain = seed + 1;
  for (let i = 0; i < pixels.length; i++) {
    const [x, y] = [Math.floor(i / 3) % side, Math.floor(i / 3 / side)];
    grain = (Math.imul(grain, 1664525) + 1013904223) >>> 0;
    const wave = Math.sin((x + seed) / (9 + (i % 3))) * Math.cos(y / (7 + (seed % 13)));
    const edge = (x * (1 + (seed % 5)) + y) % 97 < 40 ? 30 : -30;
    pixels[i] = Math.max(0, Math.min(255, 128 + 60 * wave + edge + (grain >>> 27)));
  }
  return await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

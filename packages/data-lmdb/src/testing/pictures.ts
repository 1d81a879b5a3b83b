import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';

/** A colour of 8-bit parts. */
export type Color = readonly [number, number, number];

/** PNG bytes of one colour. */
export async function plainPng(width: number, height: number, [r, g, b]: Color): Promise<Buffer> {
  return await sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer();
}

/** PNG bytes that compress badly, different for each seed. */
export async function noisePng(width: number, height: number, seed: number): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 3);
  let state = seed + 1;
  for (let i = 0; i < pixels.length; i++) pixels[i] = (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  return await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** Writes files, named by their path below the folder; folders are made as needed. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

/** Writes `count` small pictures of one colour each, `p00.png` on, with two captions each. */
export async function writeColors(folder: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const name = `p${String(i).padStart(2, '0')}`;
    await writeFiles(folder, {
      [`${name}.png`]: await plainPng(5, 7, [i, 2 * i, 255 - i]),
      [`${name}.txt`]: `number ${i}\nthe picture after ${i - 1}\n`,
    });
  }
}

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect } from 'vitest';
import { runStar } from './run-star.ts';

/** Packs a red, a green and a blue square of 64 pixels as `dots.lmdb` of a folder, from pictures and captions in a folder inside. */
export async function packSquares(folder: string, name: string, caption: (color: string) => string): Promise<void> {
  const dots = join(folder, name);
  await mkdir(dots);
  for (const background of ['red', 'green', 'blue']) {
    const picture = sharp({ create: { width: 64, height: 64, channels: 3, background } });
    await picture.png().toFile(join(dots, `${background}.png`));
    await writeFile(join(dots, `${background}.txt`), caption(background));
  }
  const { code, stderr } = await runStar(['pack', name, '--out', 'dots.lmdb'], folder);
  expect(code, stderr).toBe(0);
}

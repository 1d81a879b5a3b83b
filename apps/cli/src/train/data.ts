import { readFile } from 'node:fs/promises';
import { loadEvaluation, openPack, type Pack, type PictureSize } from '@star-webgpu/data-lmdb';
import { imageSide, imageSize, type VqvaeConfig } from '@star-webgpu/vqvae';
import type { TrainConfig } from './config/parse.ts';

/** The pictures of a training config. */
export interface TrainingData {
  readonly packs: readonly Pack[];
  /** All pictures without it. */
  readonly keys?: readonly string[];
}

/** Opens the packs of a config, and reads which pictures of them are meant. */
export async function openData({ data }: TrainConfig): Promise<TrainingData> {
  const packs = await Promise.all(data.packs.map((path) => openPack(path)));
  if (!data.keysFile) return { packs };
  return { packs, keys: (await readFile(data.keysFile, 'utf8')).split('\n').filter(Boolean) };
}

/** How many pictures there are. */
export const pictureCount = ({ packs, keys }: TrainingData): number =>
  keys?.length ?? packs.reduce((sum, { size }) => sum + size, 0);

/** All captions of the chosen pictures, or the main one of each. */
export function captionsOf({ packs, keys }: TrainingData, which: 'random' | 'first' = 'random'): string[] {
  const chosen = keys && new Set(keys);
  return packs.flatMap((pack) =>
    pack
      .keys()
      .filter((key) => !chosen || chosen.has(key))
      .flatMap((key) => pack.record(key).captions.slice(0, which === 'first' ? 1 : undefined)),
  );
}

/** Sizes that pictures are loaded at, one a ratio. */
export function sizesOf({ data }: TrainConfig, vqvae: VqvaeConfig): PictureSize[] {
  const side = imageSide(vqvae);
  if (data.size !== side)
    throw new Error(
      `data.size must be ${side}, the last patch number times the VQVAE's downsampling, got ${data.size}. Correct data.size, or vqvae.patchNumbers.`,
    );
  return data.ratios.map((ratio) => imageSize(vqvae, ratio));
}

/** Each chosen picture with the size that it is loaded at. */
export async function sizedPictures(
  { packs, keys }: TrainingData,
  size: readonly PictureSize[],
): Promise<{ readonly key: string; readonly size: PictureSize }[]> {
  const all: { readonly key: string; readonly size: PictureSize }[] = [];
  const options = { packs, ...(keys && { keys }), size, batch: 4096, decode: false };
  for await (const { keys: some, shape } of loadEvaluation(options))
    for (const key of some) all.push({ key, size: { height: shape[2], width: shape[3] } });
  return all;
}

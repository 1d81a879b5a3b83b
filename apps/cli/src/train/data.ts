import { loadEvaluation, openPack, type Pack, type PictureSize } from '@star-webgpu/data-lmdb';
import { imageSide, imageSize, type VqvaeConfig } from '@star-webgpu/vqvae';
import { readKeys } from '../read-keys.ts';
import type { TrainConfig } from './config/parse.ts';

/** Some pictures of packs. */
export interface PictureSet {
  readonly packs: readonly Pack[];
  /** All pictures without it. */
  readonly keys?: readonly string[];
}

/** The pictures of a training config. */
export interface TrainingData extends PictureSet {
  /** Those that training never sees, where the config evaluates. */
  readonly heldOut?: PictureSet;
}

/** Opens the packs of a config, and reads which pictures of them are meant. */
export async function openData({ data, evaluation }: TrainConfig): Promise<TrainingData> {
  const chosen = await openSet(data);
  if (!evaluation) return chosen;
  if (evaluation.packs) return { ...chosen, heldOut: await openSet({ ...evaluation, packs: evaluation.packs }) };
  const keys = await readKeys(evaluation.keysFile!);
  const held = new Set(keys);
  return {
    ...chosen,
    keys: listKeys(chosen).filter((key) => !held.has(key)),
    heldOut: { packs: chosen.packs, keys },
  };
}

async function openSet({ packs, keysFile }: Pick<TrainConfig['data'], 'packs' | 'keysFile'>): Promise<PictureSet> {
  const opened = await Promise.all(packs.map((path) => openPack(path)));
  return { packs: opened, ...(keysFile && { keys: await readKeys(keysFile) }) };
}

const listKeys = ({ packs, keys }: PictureSet): readonly string[] => keys ?? packs.flatMap((pack) => pack.keys());

/** All pictures of a training, held-out ones with the others. */
export const withHeldOut = ({ heldOut, ...chosen }: TrainingData): PictureSet =>
  heldOut
    ? {
        packs: [...new Set([...chosen.packs, ...heldOut.packs])],
        keys: [...listKeys(chosen), ...listKeys(heldOut)],
      }
    : chosen;

/** Closes all packs. */
export async function closeData(data: TrainingData): Promise<void> {
  for (const pack of withHeldOut(data).packs) await pack.close();
}

/** How many pictures there are. */
export const pictureCount = ({ packs, keys }: PictureSet): number =>
  keys?.length ?? packs.reduce((sum, { size }) => sum + size, 0);

/** All captions of the chosen pictures, or the main one of each. */
export function captionsOf({ packs, keys }: PictureSet, which: 'random' | 'first' = 'random'): string[] {
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
  { packs, keys }: PictureSet,
  size: readonly PictureSize[],
): Promise<{ readonly key: string; readonly size: PictureSize }[]> {
  const all: { readonly key: string; readonly size: PictureSize }[] = [];
  const options = { packs, ...(keys && { keys }), size, batch: 4096, decode: false };
  for await (const { keys: some, shape } of loadEvaluation(options))
    for (const key of some) all.push({ key, size: { height: shape[2], width: shape[3] } });
  return all;
}

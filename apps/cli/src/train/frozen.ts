import { join } from 'node:path';
import type { PictureSize } from '@star-webgpu/data-lmdb';
import { folderDigest } from '../folder-digest.ts';
import { openTokens, type TokenFile } from './token-file.ts';
import type { TokenRun } from './config/parse.ts';
import { captionsOf, sizedPictures, type TrainingData, withHeldOut } from './data.ts';

/** Folders of the encoders that do not learn; no text where one learns along. */
export interface FrozenFolders {
  readonly vqvae: string;
  readonly text?: string;
}

/** Where the frozen encoders of a run are. */
export const frozenFolders = (config: TokenRun): FrozenFolders =>
  config.stage !== 'star'
    ? { vqvae: join(config.modelFolder, 'vqvae'), text: join(config.modelFolder, 'text') }
    : { vqvae: config.vqvaeFolder, ...(config.textFolder && { text: config.textFolder }) };

/** Captions that a run may draw, and those of held-out pictures; the empty one stands for those that are dropped. */
export const drawnCaptions = (config: TokenRun, data: TrainingData): Set<string> =>
  new Set(['', ...captionsOf(data, config.captions), ...(data.heldOut ? captionsOf(data.heldOut, 'first') : [])]);

/** Digests of the frozen encoders. */
export async function frozenDigests({ vqvae, text }: FrozenFolders): Promise<{ vqvae: string; text?: string }> {
  return { vqvae: await folderDigest(vqvae), ...(text && { text: await folderDigest(text) }) };
}

/** The tokens that a config names, if it names any. @throws Error where they are not those of its data and encoders. */
export async function tokensOf(
  config: TokenRun,
  data: TrainingData,
  sizes: readonly PictureSize[],
): Promise<TokenFile | undefined> {
  if (!config.data.tokens) return undefined;
  const all = withHeldOut(data);
  return openTokens(config.data.tokens, {
    packs: all.packs,
    ...(await frozenDigests(frozenFolders(config))),
    pictures: await sizedPictures(all, sizes),
    captions: drawnCaptions(config, data),
  });
}

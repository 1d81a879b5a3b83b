import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { openPack, toPixels } from '@star-webgpu/data-lmdb';
import { type Picture, readStatistics, type Statistics } from '@star-webgpu/metrics';
import { digestOf, fileState } from './identity.ts';

/** A picture that is read when its turn comes. */
export interface SourcePicture {
  /** The same in another source for what belongs together. */
  readonly key: string;
  readonly category?: string;
  readonly prompt?: string;
  /** Stored as JPEG or WebP, which changes it a little. */
  readonly isLossy?: boolean;
  read(): Promise<Picture>;
}

/** Pictures of a folder, a pack or a model. */
export interface PictureSource {
  readonly label: string;
  /** Another text means other pictures, or another order. */
  readonly identity: string;
  readonly pictures: readonly SourcePicture[];
  close(): Promise<void>;
}

/** Mean and covariance of features, without pictures. */
export interface StatisticsSource {
  readonly label: string;
  readonly statistics: Statistics;
}

export const isStatistics = (source: PictureSource | StatisticsSource): source is StatisticsSource =>
  'statistics' in source;

const pictureFile = /\.(png|jpe?g|webp)$/i;

/** Opens what an option names: a folder of pictures, a pack (.lmdb) or statistics of pytorch-fid (.npz). */
export async function openSource(
  option: string,
  path: string,
  keys?: readonly string[],
): Promise<PictureSource | StatisticsSource> {
  const info = await stat(path).catch(() => undefined);
  if (!info)
    throw new Error(`evaluate: ${option} must name a folder, a pack or a .npz file, got ${path}, which is not there.`);
  if (info.isDirectory()) return await folderSource(option, path);
  if (extname(path) === '.npz') return { label: path, statistics: readStatistics(await readFile(path)) };
  return await packSource(path, keys);
}

/** The same, where statistics will not do. @throws Error naming what was given instead */
export async function openPictures(option: string, path: string, keys?: readonly string[]): Promise<PictureSource> {
  const source = await openSource(option, path, keys);
  if (isStatistics(source)) throw new Error(`evaluate: ${option} must name pictures, got the statistics ${path}.`);
  return source;
}

/** Every picture under a folder by its path; the first folder of a path is its category. */
async function folderSource(option: string, folder: string): Promise<PictureSource> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => pictureFile.test(file)).sort();
  if (!files.length)
    throw new Error(`evaluate: ${option} must hold PNG, JPEG or WebP pictures, got none in ${folder}. Check the path.`);
  const states = await Promise.all(files.map((file) => fileState(join(folder, file))));
  return {
    label: folder,
    identity: digestOf(states.join('\n')),
    pictures: files.map((file) => {
      const key = keyOf(file);
      const category = key.includes('/') ? { category: key.slice(0, key.indexOf('/')) } : {};
      return { key, ...category, isLossy: !/\.png$/i.test(file), read: () => readPicture(join(folder, file)) };
    }),
    close: async () => {},
  };
}

/** A picture's path in its folder without the ending, with slashes on every system. */
const keyOf = (file: string): string =>
  file
    .split(sep)
    .join('/')
    .replace(/\.[^.]+$/, '');

/** Decodes a file. @throws Error naming it. */
export async function readPicture(file: string): Promise<Picture> {
  try {
    return await toPixels(await readFile(file));
  } catch (cause) {
    throw new Error(
      `evaluate: ${file} must be a whole picture, got one that fails with "${(cause as Error).message}".`,
      {
        cause,
      },
    );
  }
}

/** Pictures of a pack with their first captions, all of them or those of some keys. */
async function packSource(path: string, keys?: readonly string[]): Promise<PictureSource> {
  const pack = await openPack(path);
  const chosen = keys ?? pack.keys();
  return {
    label: path,
    identity: digestOf([await fileState(path), ...chosen].join('\n')),
    pictures: chosen.map((key) => ({
      key,
      prompt: pack.record(key).captions[0] ?? '',
      read: () => toPixels(pack.get(key).image),
    })),
    close: () => pack.close(),
  };
}

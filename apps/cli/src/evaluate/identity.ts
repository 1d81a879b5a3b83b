import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { folderDigest } from '../folder-digest.ts';

/** A short name for a text. */
export const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** What tells a model's folder from others, wherever it lies. */
export const modelDigest = async (folder: string): Promise<string> => (await folderDigest(folder)).slice(0, 16);

/** What tells a file from its earlier or later self. */
export async function fileState(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  return `${path} ${size} ${mtimeMs}`;
}

import { access, open, readdir } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { codeOf, PackError } from './errors.ts';

const PICTURES: ReadonlySet<string> = new Set(['.png', '.jpg', '.jpeg', '.webp', '.avif', '.gif', '.tif', '.tiff']);

/** Whether a file's ending is one of a picture. */
export const isPicture = (file: string): boolean => PICTURES.has(extname(file).toLowerCase());

/** A path without its ending. */
export const stemOf = (file: string): string => file.slice(0, file.length - extname(file).length);

/** A path with forward slashes. */
export const toPosix = (file: string): string => file.split(sep).join('/');

/** Paths of all files below a folder, sorted; hidden ones are left out. */
export async function listFiles(folder: string): Promise<string[]> {
  const found = await explainMissing(folder, readdir(folder, { recursive: true, withFileTypes: true }));
  const files = found.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'));
  return files.map((entry) => toPosix(relative(folder, join(entry.parentPath, entry.name)))).toSorted();
}

/** Whether there is a file or a folder of that path. */
export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** A place in a file. */
export interface FileRange {
  offset: number;
  length: number;
}

/** Bytes of a part of a file. */
export async function readRange(path: string, { offset, length }: FileRange): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
    if (bytesRead < length) throw new Error(`${path} ends ${length - bytesRead} bytes too early`);
    return buffer;
  } finally {
    await file.close();
  }
}

/** Says of a source that is not there what to do. */
export async function explainMissing<Result>(path: string, reading: Promise<Result>): Promise<Result> {
  try {
    return await reading;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new PackError('missing', `pack: source must exist, got none at ${path}. Correct the path.`, { path });
  }
}

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Writes a file through to the disk, of pieces that are given away. Resolves to its SHA-256 in hexadecimal digits. */
export type WriteFile = (path: string, pieces: readonly Uint8Array[]) => Promise<string>;

/** Writes a small file through to the disk. */
export async function writeText(path: string, text: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes what was made, renamed or removed inside a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/** SHA-256 of a text. */
export const digestOfText = (text: string): string => createHash('sha256').update(text).digest('hex');

/** SHA-256 of a file of any size. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}

const [asidePrefix, removingPrefix] = ['.replaced-', '.removing-'];

/** Where a folder is made before it gets its name. */
export const passingFolder = (root: string): string => join(root, `.writing-${process.pid}`);

/**
 * Renames a folder to a name that may be taken. What had the name is put aside before and removed behind, so that there is
 * the old one or the new one at each moment; `clearLeftovers` mends what a kill in between left.
 */
export async function replaceFolder(from: string, to: string): Promise<void> {
  const root = dirname(to);
  const aside = join(root, `${asidePrefix}${basename(to)}`);
  await rename(to, aside).catch(ignoreMissing);
  await rename(from, to);
  await syncFolder(root);
  await rm(aside, { recursive: true, force: true });
}

/** Removes folders, each under another name: a kill leaves no half of one under its own. */
export async function removeFolders(root: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const passing = join(root, `${removingPrefix}${name}`);
    await rename(join(root, name), passing);
    await rm(passing, { recursive: true, force: true });
  }
  if (names.length) await syncFolder(root);
}

/** Removes what killed writers left, and ends the replacing that a kill interrupted. */
export async function clearLeftovers(root: string): Promise<void> {
  const names = await namesIn(root);
  for (const name of names) {
    const own = name.slice(asidePrefix.length);
    if (name.startsWith(asidePrefix) && !names.includes(own)) await rename(join(root, name), join(root, own));
    else if (/^\.(writing|removing|replaced)-/.test(name)) await rm(join(root, name), { recursive: true, force: true });
  }
}

/** Points a link at something beside it; a link of that name is replaced at once. */
export async function pointLink(path: string, target: string): Promise<void> {
  const passing = `${path}.new`;
  await rm(passing, { force: true });
  await symlink(target, passing, 'junction');
  await rename(passing, path);
}

/** Names in a folder; none if there is no folder. */
export const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: unknown) => {
    ignoreMissing(error);
    return [];
  });

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

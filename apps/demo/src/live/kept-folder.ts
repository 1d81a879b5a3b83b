import { modelFiles } from '../painter/folder-reader.ts';
import type { FolderFile, ModelFolder } from '../painter/painter.ts';

/** The folder that this browser keeps a copy of, in its own store for this site. */
export interface KeptFolder {
  readonly name: string;
  readonly bytes: number;
}

interface Listing extends KeptFolder {
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

const place = 'star-webgpu-model';
const listingName = 'listing.json';

/** Copies the files of a folder's model, in place of those of the one before. @throws DOMException where there is no room */
export const keepFolder = (folder: ModelFolder): Promise<KeptFolder> =>
  alone(async () => {
    const root = await navigator.storage.getDirectory();
    await removed(root);
    try {
      const kept = await root.getDirectoryHandle(place, { create: true });
      return await copyInto(kept, folder);
    } catch (error) {
      await removed(root);
      throw error;
    }
  });

/** What is kept, if anything. */
export async function keptFolder(): Promise<KeptFolder | undefined> {
  const listing = await listingOf(await keptPlace());
  return listing && { name: listing.name, bytes: listing.bytes };
}

/** The kept copy, as a folder that a painter opens; none if it is not whole. */
export async function openKept(name: string): Promise<ModelFolder | undefined> {
  const kept = await keptPlace();
  const listing = await listingOf(kept);
  if (!kept || listing?.name !== name) return undefined;
  const files = await Promise.all(listing.files.map(({ path }) => fileOf(kept, path)));
  const whole = files.every(({ file }, i) => file.size === listing.files[i]!.size);
  return whole ? { name, files } : undefined;
}

export const forgetFolder = (): Promise<void> => alone(async () => removed(await navigator.storage.getDirectory()));

/** One page of the site at a time changes what is kept. */
const alone = async <Result>(work: () => Promise<Result>): Promise<Awaited<Result>> =>
  await navigator.locks.request(place, work);

async function copyInto(kept: FileSystemDirectoryHandle, folder: ModelFolder): Promise<KeptFolder> {
  const files = modelFiles(folder);
  for (const { path, file } of files) await write(kept, path, file);
  const sizes = files.map(({ path, file: { size } }) => ({ path, size }));
  const listing: Listing = { name: folder.name, bytes: sizes.reduce((sum, { size }) => sum + size, 0), files: sizes };
  // Written last: what was interrupted is not taken for whole.
  await write(kept, listingName, new Blob([JSON.stringify(listing)]));
  return listing;
}

async function write(folder: FileSystemDirectoryHandle, path: string, content: Blob): Promise<void> {
  const handle = await handleOf(folder, path, { create: true });
  await content.stream().pipeTo(await handle.createWritable());
}

/** A file by its path, through the folders on the way. */
async function handleOf(
  folder: FileSystemDirectoryHandle,
  path: string,
  options: { readonly create: boolean } = { create: false },
): Promise<FileSystemFileHandle> {
  const names = path.split('/');
  let inner = folder;
  for (const name of names.slice(0, -1)) inner = await inner.getDirectoryHandle(name, options);
  return inner.getFileHandle(names.at(-1)!, options);
}

const fileOf = async (folder: FileSystemDirectoryHandle, path: string): Promise<FolderFile> => ({
  path,
  file: await (await handleOf(folder, path)).getFile(),
});

/** Nothing where the browser has no such store, as in some private windows. */
async function keptPlace(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(place);
  } catch {
    return undefined;
  }
}

async function listingOf(kept: FileSystemDirectoryHandle | undefined): Promise<Listing | undefined> {
  if (!kept) return undefined;
  try {
    return JSON.parse(await (await fileOf(kept, listingName)).file.text()) as Listing;
  } catch {
    return undefined;
  }
}

const removed = (root: FileSystemDirectoryHandle): Promise<void> =>
  root.removeEntry(place, { recursive: true }).catch((error: DOMException) => {
    if (error.name !== 'NotFoundError') throw error;
  });

import type { FolderFile, ModelFolder } from '../painter/painter.ts';

/**
 * The folder that this browser keeps a copy of, in its own store for this site. A copy, as only some browsers have handles of folders, and these
 * ask for leave again at each visit.
 */
export interface KeptFolder {
  readonly name: string;
  readonly bytes: number;
}

/** What is written beside the files of a copy. */
export interface Listing extends KeptFolder {
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** Where the copy lies in the store, and the name of its listing. */
export const [keptPlace, listingName] = ['star-webgpu-model', 'listing.json'];

/** What is kept, if anything. */
export async function keptFolder(): Promise<KeptFolder | undefined> {
  const kept = await openPlace();
  return kept && listingOf(kept);
}

/** The kept copy, as a folder that a painter opens; none if it is not whole. */
export async function openKept(name: string): Promise<ModelFolder | undefined> {
  const kept = await openPlace();
  const listing = kept && (await listingOf(kept));
  if (!kept || listing?.name !== name) return undefined;
  try {
    const files = await Promise.all(listing.files.map(({ path }) => fileOf(kept, path)));
    return files.every(({ file }, i) => file.size === listing.files[i]!.size) ? { name, files } : undefined;
  } catch {
    return undefined;
  }
}

/** A file by its path, through the folders on the way. */
export async function handleOf(
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
async function openPlace(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(keptPlace);
  } catch {
    return undefined;
  }
}

/** Nothing where a copy was interrupted. */
async function listingOf(kept: FileSystemDirectoryHandle): Promise<Listing | undefined> {
  try {
    return JSON.parse(await (await fileOf(kept, listingName)).file.text()) as Listing;
  } catch {
    return undefined;
  }
}

import { modelFiles } from '../painter/folder-reader.ts';
import type { ModelFolder } from '../painter/painter.ts';
import { handleOf, type KeptFolder, keptPlace, type Listing, listingName } from './kept-folder.ts';

/** Copies the files of a folder's model, in place of those of the one before. @throws DOMException where there is no room */
export const keepFolder = (folder: ModelFolder): Promise<KeptFolder> =>
  alone(async () => {
    const root = await navigator.storage.getDirectory();
    await removed(root);
    try {
      return await copyInto(await root.getDirectoryHandle(keptPlace, { create: true }), folder);
    } catch (error) {
      await removed(root);
      throw error;
    }
  });

export const forgetFolder = (): Promise<void> => alone(async () => removed(await navigator.storage.getDirectory()));

/** One page of the site at a time changes what is kept. */
const alone = async <Result>(work: () => Promise<Result>): Promise<Awaited<Result>> =>
  await navigator.locks.request(keptPlace, work);

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

const removed = (root: FileSystemDirectoryHandle): Promise<void> =>
  root.removeEntry(keptPlace, { recursive: true }).catch((error: DOMException) => {
    if (error.name !== 'NotFoundError') throw error;
  });

import type { FolderFile, ModelFolder } from '../painter/painter.ts';

/** The folder that was chosen in a dialog. */
export function chosenFolder(files: FileList): ModelFolder | undefined {
  const [first] = files;
  if (!first) return undefined;
  const name = first.webkitRelativePath.split('/')[0] || first.name;
  return { name, files: [...files].map((file) => ({ path: pathInside(file.webkitRelativePath || file.name), file })) };
}

const pathInside = (path: string): string => path.slice(path.indexOf('/') + 1);

/** The folder that was dropped, with all that is in it. */
export async function droppedFolder({ items }: DataTransfer): Promise<ModelFolder | undefined> {
  // Entries must be taken before the first await: the browser empties the list after the event.
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const [first] = entries;
  if (!first) return undefined;
  const found = await Promise.all(entries.map((entry) => filesOf(entry)));
  const files = found.flat();
  // The only folder that was dropped is the model's; several things together are what is inside of one.
  const inside = entries.length === 1 && first.isDirectory;
  return {
    name: first.name,
    files: inside ? files.map(({ path, file }) => ({ path: pathInside(path), file })) : files,
  };
}

async function filesOf(entry: FileSystemEntry): Promise<FolderFile[]> {
  const path = entry.fullPath.slice(1);
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path, file }];
  }
  const found: FolderFile[] = [];
  for (const inner of await entriesOf(entry as FileSystemDirectoryEntry)) found.push(...(await filesOf(inner)));
  return found;
}

/** A reader gives a hundred entries at a time at most, and none at the end. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

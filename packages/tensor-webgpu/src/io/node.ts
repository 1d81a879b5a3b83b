import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ByteSource, checkRange, type ReadFile, SourceError } from './source.ts';

/**
 * A file on disk as a source. It is opened for each read, so that nothing is left to close.
 * @throws SourceError where the file shrinks meanwhile, or the errors of the file system.
 */
export async function fileSource(path: string): Promise<ByteSource> {
  const { size } = await stat(path);
  return { size, read: (offset, length) => readRange(path, size, { offset, length }) };
}

/** The files of a folder, each as a source. */
export const folderFiles =
  (folder: string): ReadFile =>
  (path) =>
    fileSource(join(folder, path));

async function readRange(
  path: string,
  size: number,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  checkRange(size, offset, length);
  const bytes = new Uint8Array(length);
  const file = await open(path, 'r');
  try {
    let done = 0;
    while (done < length) {
      const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
      if (!bytesRead)
        throw new SourceError(`${path} must keep its ${size} bytes while it is read, got an end at ${offset + done}.`);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

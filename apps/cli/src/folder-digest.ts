import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** One digest of all files of a folder and their names, also of folders inside; they may be large. */
export async function folderDigest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.toSorted()) {
    hash.update(`${relative(folder, file)}\0`);
    for await (const bytes of createReadStream(file)) hash.update(bytes as Uint8Array);
  }
  return hash.digest('hex');
}

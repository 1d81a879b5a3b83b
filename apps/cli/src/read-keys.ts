import { readFile } from 'node:fs/promises';

/** Keys of a file with one a line. */
export const readKeys = async (file: string): Promise<string[]> =>
  (await readFile(file, 'utf8')).split(/\r?\n/).filter(Boolean);

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** Where tuned tables are kept: `star-webgpu/tuning.json` in XDG_CACHE_HOME or ~/.cache. */
export function tuningFile(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'star-webgpu', 'tuning.json');
}

/** Text of a tuning file, or undefined where there is none. @throws Error if it exists and cannot be read. */
export async function readTuningFile(file: string = tuningFile()): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Replaces a tuning file in one step, so that no reader meets half of it. */
export async function writeTuningFile(text: string, file: string = tuningFile()): Promise<void> {
  const temporary = `${file}.${process.pid}`;
  await mkdir(dirname(file), { recursive: true });
  try {
    await writeFile(temporary, text);
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isRunning } from './is-running.ts';

/**
 * Takes a folder for this process; gives the function that lets go of it. A lock that a killed process left is taken over, and so is
 * one of another machine, which cannot be asked.
 * @param work what is done in the folder, for the message
 * @throws Error if another process of this machine works in the folder: two would write into the same files
 */
export async function lockFolder(folder: string, work: 'evaluate' | 'train'): Promise<() => Promise<void>> {
  const file = join(folder, '.lock');
  const own = `${process.pid} ${hostname()}`;
  await mkdir(folder, { recursive: true });
  for (;;) {
    const taken = await writeFile(file, own, { flag: 'wx' }).then(
      () => true,
      (fault: NodeJS.ErrnoException) => {
        if (fault.code === 'EEXIST') return false;
        throw fault;
      },
    );
    if (taken) return () => rm(file, { force: true });
    const [owner, host] = (await readFile(file, 'utf8').catch(() => '')).split(' ');
    if (host === hostname() && Number(owner) !== process.pid && isRunning(Number(owner)))
      throw new Error(
        `${work}: --out must be a folder that no other process uses, got ${folder}, in use by process ${owner}. Wait for it, or choose another folder; if that process is something else, delete ${file}.`,
      );
    await rm(file, { force: true });
  }
}

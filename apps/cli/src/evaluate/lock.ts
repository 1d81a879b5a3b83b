import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRunning } from '../is-running.ts';

/**
 * Takes a folder for this process; gives the function that lets go of it. A lock that a killed process left is taken over.
 * @throws Error if another process works in the folder: two would write into the same files.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const file = join(folder, '.lock');
  await mkdir(folder, { recursive: true });
  for (;;) {
    const taken = await writeFile(file, String(process.pid), { flag: 'wx' }).then(
      () => true,
      (fault: NodeJS.ErrnoException) => {
        if (fault.code === 'EEXIST') return false;
        throw fault;
      },
    );
    if (taken) return () => rm(file, { force: true });
    const owner = Number(await readFile(file, 'utf8').catch(() => ''));
    if (owner !== process.pid && isRunning(owner))
      throw new Error(
        `evaluate: --out must be a folder that no other evaluation uses, got ${folder}, in use by process ${owner}. Wait for it, or choose another folder.`,
      );
    await rm(file, { force: true });
  }
}

import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lockFolder } from './lock-folder.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'lock-'))));
afterAll(() => rm(folder, { recursive: true }));

it('a folder that a running process holds is refused; one that a dead process or another machine left is taken over', async () => {
  const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
  const file = join(folder, '.lock');
  await writeFile(file, `${other.pid} ${hostname()}`);
  await expect(lockFolder(folder, 'train')).rejects.toThrow(
    `train: --out must be a folder that no other process uses, got ${folder}, in use by process ${other.pid}. Wait for it, or choose another folder; if that process is something else, delete ${file}.`,
  );
  await writeFile(file, `${other.pid} elsewhere`);
  await (
    await lockFolder(folder, 'train')
  )();
  other.kill();
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  await writeFile(file, `${dead} ${hostname()}`);
  const release = await lockFolder(folder, 'evaluate');
  await release();
  await (
    await lockFolder(join(folder, 'new'), 'evaluate')
  )();
});

import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lockFolder } from './lock.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'lock-'))));
afterAll(() => rm(folder, { recursive: true }));

it('a folder that a running process holds is refused, one that a dead process left is taken over', async () => {
  const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
  await writeFile(join(folder, '.lock'), String(other.pid));
  await expect(lockFolder(folder)).rejects.toThrow(
    `evaluate: --out must be a folder that no other evaluation uses, got ${folder}, in use by process ${other.pid}. Wait for it, or choose another folder.`,
  );
  other.kill();
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  await writeFile(join(folder, '.lock'), String(dead));
  const release = await lockFolder(folder);
  await release();
  await (
    await lockFolder(join(folder, 'new'))
  )();
});

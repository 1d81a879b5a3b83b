import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runReadmeExample } from '../../../tools/readme-example.ts';

it('the example of the README runs', async () => {
  const home = process.cwd();
  const folder = await mkdtemp(join(tmpdir(), 'trainer-readme-'));
  process.chdir(folder);
  try {
    await expect(runReadmeExample(new URL('../', import.meta.url))).resolves.toBeUndefined();
  } finally {
    process.chdir(home);
    await rm(folder, { recursive: true });
  }
});

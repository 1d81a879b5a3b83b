import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readKeys } from './read-keys.ts';

it('keys are the lines of a file, whatever ends them; empty ones do not count', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keys-'));
  const file = join(folder, 'keys.txt');
  await writeFile(file, 'a b\r\nc/d\n\n\r\ne');
  expect(await readKeys(file)).toEqual(['a b', 'c/d', 'e']);
  await rm(folder, { recursive: true });
});

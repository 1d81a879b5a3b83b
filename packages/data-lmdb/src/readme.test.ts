import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runModule } from './testing/child.ts';
import { writeColors } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';

it('the example of the README packs a folder and loads two epochs', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const example = readme.match(/```ts\n(.*?)```/s)?.[1] ?? '';
  const folder = await temporaryFolder();
  await writeColors(join(folder, 'pictures'), 3);
  const enter = `process.chdir(${JSON.stringify(folder)});\n`;
  const { code, out } = await runModule(enter + example);
  expect(code).toBe(0);
  expect(out.trim().split('\n')).toEqual([
    '3 packed, 0 refused',
    '24576 2 { epoch: 0, step: 1 }',
    '24576 2 { epoch: 1, step: 0 }',
    '24576 2 { epoch: 1, step: 1 }',
    '24576 2 { epoch: 2, step: 0 }',
  ]);
});

import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { pack } from './pack.ts';
import { openPack } from './reader.ts';
import { folderSource } from './sources.ts';
import { packStatistics } from './statistics.ts';
import { plainPng, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';

it('packStatistics counts pictures and captions, their lengths in characters as people see them, and sizes', async () => {
  const folder = await temporaryFolder();
  await writeFiles(folder, {
    'in/a.png': await plainPng(10, 20, [1, 2, 3]),
    'in/a.txt': 'a red dog\nsame',
    'in/b.png': await plainPng(30, 20, [1, 2, 3]),
    'in/b.txt': '狗🐕\nsame',
    'in/c.png': await plainPng(20, 20, [1, 2, 3]),
    'in/c.txt': 'x',
  });
  await pack(await folderSource(join(folder, 'in')), join(folder, 'a.lmdb'));
  const reader = await openPack(join(folder, 'a.lmdb'));
  onTestFinished(() => reader.close());
  const statistics = packStatistics([reader]);
  expect(statistics).toMatchObject({
    pictures: 3,
    captions: 5,
    sharedCaptions: 1,
    types: { 'image/png': 3 },
    labels: {},
    captionsAPicture: { least: 1, median: 2, most: 2 },
    characters: { least: 1, median: 4, mean: (9 + 4 + 2 + 4 + 1) / 5, most: 9 },
    words: { least: 1, median: 1, most: 3 },
    width: { least: 10, median: 20, mean: 20, most: 30 },
    height: { least: 20, most: 20 },
    ratio: { least: 0.5, median: 1, most: 1.5 },
  });
  expect(statistics.bytes).toBeCloseTo(3 * statistics.size.mean);
  expect(packStatistics([reader, reader])).toMatchObject({ pictures: 6, sharedCaptions: 4 });
});

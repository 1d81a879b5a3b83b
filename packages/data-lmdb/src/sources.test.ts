import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanCaptions } from './captions.ts';
import { sourceOf } from './source-of.ts';
import type { PackSource } from './source.ts';
import { folderSource, jsonlSource, tsvSource } from './sources.ts';
import { writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';
import { createPack } from './writer.ts';

const brief = ({ entries }: PackSource): [string, string[]][] =>
  entries.map(({ key, captions }) => [key, cleanCaptions(captions)]);

describe('folderSource', () => {
  it('reads captions from .txt by line and from .json by field, in folders below too', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      'a.png': 'x',
      'a.txt': 'one\r\n\n  two  words \none\n',
      'deep/er/b.JPG': 'x',
      'deep/er/b.json': JSON.stringify({ prompt: 'three', llava_zh: 'four', width: 5 }),
      'c.webp': 'x',
      'c.json': JSON.stringify({ captions: ['five', 'six'] }),
    });
    expect(brief(await folderSource(folder))).toEqual([
      ['a', ['one', 'two words']],
      ['c', ['five', 'six']],
      ['deep/er/b', ['three', 'four']],
    ]);
  });

  it('says of each picture without a caption why, and lists captions without a picture', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      'a.png': 'x',
      'b.png': 'x',
      'b.json': '{',
      'c.png': 'x',
      'c.txt': '\n',
      'd.txt': 'lost',
    });
    const source = await folderSource(folder);
    expect(source.entries.map((entry) => entry.captionFault)).toEqual([
      'no caption: no a.txt or a.json',
      'no caption: b.json: not JSON',
      'no caption in c.txt',
    ]);
    expect(source.refused).toEqual([{ file: 'd.txt', reason: 'no picture of this name' }]);
  });

  it('a folder that is not there is refused by name', async () => {
    await expect(folderSource('/nowhere/at/all')).rejects.toThrow(
      'pack: source must exist, got none at /nowhere/at/all. Correct the path.',
    );
  });

  it('a picture given as a source is refused, and a pack', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'a.png': 'x' });
    await expect(sourceOf(join(folder, 'a.png'))).rejects.toThrow(
      `pack: source must be a folder, a .jsonl, a .tsv, a .parquet, a .tar or a pack of the reference code, got ${join(folder, 'a.png')}. Choose one of these.`,
    );
    const path = join(folder, 'a.lmdb');
    await (await createPack(path)).commit();
    await expect(sourceOf(path)).rejects.toThrow(
      `pack: source must hold pictures to pack, got the pack ${path}. Use it as it is.`,
    );
  });
});

describe('jsonlSource', () => {
  it('reads a picture, captions and a key a line, and lists lines that it cannot read', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'list.jsonl');
    const lines = [
      '{"image":"a.png","caption":"one"}',
      '',
      '{"file_name":"deep/b.png","captions":["two","three"],"key":"bee"}',
      'not json',
      '[]',
      '{"caption":"no picture"}',
    ];
    await writeFiles(folder, { 'list.jsonl': `\u{feff}${lines.join('\r\n')}\n` });
    const source = await sourceOf(path);
    expect(brief(source)).toEqual([
      ['a', ['one']],
      ['bee', ['two', 'three']],
    ]);
    expect(source.refused).toEqual([
      { file: `${path}:4`, reason: 'not JSON' },
      { file: `${path}:5`, reason: 'no picture named: give one of image, file, file_name, path' },
      { file: `${path}:6`, reason: 'no picture named: give one of image, file, file_name, path' },
    ]);
  });

  it('reads pictures relative to the list', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'list.jsonl': '{"path":"deep/b.png","text":"t"}', 'deep/b.png': 'bytes' });
    const [entry] = (await jsonlSource(join(folder, 'list.jsonl'))).entries;
    expect(Buffer.from((await entry?.read()) ?? []).toString()).toBe('bytes');
  });
});

describe('tsvSource', () => {
  it.each([
    ['with', 'image\tcaption\n'],
    ['without', ''],
  ])('reads pictures and any number of captions, %s a head line', async (_name, head) => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'list.tsv': `${head}a.png\tone\ttwo\nb.png\n` });
    expect(brief(await tsvSource(join(folder, 'list.tsv')))).toEqual([
      ['a', ['one', 'two']],
      ['b', []],
    ]);
  });
});

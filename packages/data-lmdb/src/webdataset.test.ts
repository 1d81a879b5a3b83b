import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { list } from 'tar';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cleanCaptions } from './captions.ts';
import { pack } from './pack.ts';
import { openPack, type Pack } from './reader.ts';
import { sourceOf } from './source-of.ts';
import { folderSource } from './sources.ts';
import { tarBlocks, tarEnd, tarMembers } from './tar-members.ts';
import { writeColors, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';
import { webDatasetSource, writeWebDataset } from './webdataset.ts';
import { createPack } from './writer.ts';

const golden = (file: string): string => fileURLToPath(new URL(`../test/golden/${file}`, import.meta.url));

async function open(path: string): Promise<Pack> {
  const reader = await openPack(path);
  onTestFinished(() => reader.close());
  return reader;
}

/** All that a pack holds, but for where its pictures came from. */
const holdings = (reader: Pack): unknown[] =>
  reader.keys().map((key) => {
    const { source: _, image, ...record } = reader.get(key);
    return { key, ...record, image: Buffer.from(image).toString('hex') };
  });

describe('webDatasetSource', () => {
  it.each([
    ['ustar', `part/${'long-folder-name/'.repeat(6)}dog`],
    ['gnu', `part/${'long-folder-name/'.repeat(9)}狗`],
    ['pax', `part/${'long-folder-name/'.repeat(9)}狗`],
  ])('reads a shard that Python’s tarfile wrote as %s, names of over 100 bytes too', async (format, long) => {
    const path = golden(`webdataset-${format}.tar`);
    const { entries, refused } = await webDatasetSource([path]);
    expect(entries.map(({ key, captions }) => [key, cleanCaptions(captions)])).toEqual([
      ['part/000000', ['a red square', 'from json']],
      [long, ['a dog', 'the second line', 'from json']],
      ['part/silent', []],
    ]);
    expect(entries[2]!.captionFault).toBe('no caption in a .txt or .json of part/silent');
    expect(refused).toEqual([{ file: `${path}#part/alone`, reason: 'no picture of this name' }]);
    const report = await pack(await sourceOf(path), join(await temporaryFolder(), 'a.lmdb'));
    expect(report).toMatchObject({ packed: 2 });
    const reader = await open(report.path);
    expect(reader.keys().map((key) => [reader.record(key).width, reader.record(key).height])).toEqual([
      [3, 4],
      [4, 4],
    ]);
  });

  it('takes the first of several pictures of one name, and passes over what is no part of a sample', async () => {
    const path = join(await temporaryFolder(), 'a.tar');
    const file = (name: string, content: string): Buffer => tarBlocks(name, Buffer.from(content));
    const parts = [file('a.input.PNG', 'first'), file('a.png', 'next'), file('a.jpg', 'second'), file('a.json', '"c"')];
    await writeFile(
      path,
      Buffer.concat([...parts, file('.hidden', 'y'), file('b.json', '{'), file('b.png', 'z'), tarEnd]),
    );
    const { entries, refused } = await sourceOf(path);
    expect(entries.map(({ key, captions }) => [key, captions])).toEqual([['a', ['c']]]);
    expect(String(await entries[0]!.read())).toBe('first');
    expect(refused).toEqual([{ file: `${path}#b`, reason: 'not JSON' }]);
  });

  it('refuses what is no tar, what is cut short and what is damaged', async () => {
    const path = join(await temporaryFolder(), 'a.tar');
    const refusal = async (bytes: Uint8Array): Promise<string> => {
      await writeFile(path, bytes);
      return await sourceOf(path).then(
        () => 'taken',
        (error: Error) => error.message,
      );
    };
    const whole = await readFile(golden('webdataset-pax.tar'));
    const message = (got: string): string =>
      `pack: source must be a whole tar that is not compressed, got ${got} in ${path}. Copy it again, or unpack its compression.`;
    expect(await refusal(Buffer.from('no tar'))).toBe(message('no header at all'));
    expect(await refusal(Buffer.alloc(2000, 7))).toBe(message('a header with a wrong checksum at byte 0'));
    const picture = (await tarMembers(golden('webdataset-pax.tar')))[0]!;
    expect(await refusal(whole.subarray(0, picture.offset + 20))).toBe(
      message(`a file that ends ${picture.length} bytes behind byte ${picture.offset - 512}`),
    );
    for (const place of [12, 130, 150, 160]) {
      const damaged = Buffer.from(whole);
      damaged[picture.offset - 512 + place]! ^= 0x81;
      expect(await refusal(damaged)).toBe(message(`a header with a wrong checksum at byte ${picture.offset - 512}`));
    }
  });
});

describe('writeWebDataset', () => {
  it('writes shards that give the same pack again: keys with dots, all captions, labels and bytes', async () => {
    const folder = await temporaryFolder();
    await writeColors(join(folder, 'in/v1.5'), 5);
    await pack(await folderSource(join(folder, 'in')), join(folder, 'colors.lmdb'));
    const before = await open(join(folder, 'colors.lmdb'));
    const labelled = await createPack(join(folder, 'labelled.lmdb'), { name: 'labelled' });
    for (const key of before.keys()) {
      const { image, ...record } = before.get(key);
      labelled.put(`${key}.x`, { ...record, labels: { kind: key } }, image);
    }
    await labelled.commit();
    const first = await open(join(folder, 'labelled.lmdb'));
    const progress: number[] = [];
    const shards = await writeWebDataset(first, join(folder, 'out'), {
      shardSize: 2,
      onProgress: ({ done }) => progress.push(done),
    });
    expect(progress).toEqual([1, 2, 3, 4, 5]);
    expect(shards.map((path) => path.slice(folder.length))).toEqual(
      [0, 1, 2].map((i) => `/out/labelled-00000${i}.tar`),
    );
    const { packed } = await pack(await sourceOf(join(folder, 'out')), join(folder, 'again.lmdb'));
    expect(packed).toBe(5);
    expect(holdings(await open(join(folder, 'again.lmdb')))).toEqual(holdings(first));
    const names: string[] = [];
    await list({ file: shards[2]!, onReadEntry: ({ path }) => void names.push(path) });
    expect(names).toEqual(['000000004.png', '000000004.txt', '000000004.json']);
  });

  it('never writes over a shard, and leaves whole shards alone when it is stopped', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'out/colors-000001.tar': 'precious' });
    await writeColors(join(folder, 'in'), 4);
    await pack(await folderSource(join(folder, 'in')), join(folder, 'colors.lmdb'));
    const reader = await open(join(folder, 'colors.lmdb'));
    const path = join(folder, 'out/colors-000001.tar');
    await expect(writeWebDataset(reader, join(folder, 'out'), { shardSize: 2 })).rejects.toThrow(
      `writeWebDataset: shards must not be there yet, got ${path}. Choose another folder, or remove them.`,
    );
    expect(await readFile(path, 'utf8')).toBe('precious');
    const controller = new AbortController();
    const stopped = writeWebDataset(reader, join(folder, 'other'), {
      shardSize: 3,
      signal: controller.signal,
      onProgress: ({ done }) => void (done === 3 && controller.abort(new Error('enough'))),
    });
    await expect(stopped).rejects.toThrow('enough');
    expect(await readdir(join(folder, 'other'))).toEqual(['colors-000000.tar']);
    expect(await tarMembers(join(folder, 'other/colors-000000.tar'))).toHaveLength(9);
  });
});

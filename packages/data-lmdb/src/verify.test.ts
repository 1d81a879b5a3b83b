import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from 'lmdb';
import { describe, expect, it } from 'vitest';
import { pack } from './pack.ts';
import { openPack } from './reader.ts';
import { folderSource } from './sources.ts';
import { noisePng, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';
import { verifyPack } from './verify.ts';
import { createPack } from './writer.ts';

const CHANGED = 'its bytes are not those that were packed';

async function noise(count: number, shardSize = 10_000): Promise<{ folder: string; path: string }> {
  const folder = await temporaryFolder();
  for (let i = 0; i < count; i++)
    await writeFiles(join(folder, 'in'), {
      [`k${i}.png`]: await noisePng(30, 30, i),
      [`k${i}.txt`]: `caption of ${i}`,
    });
  const path = join(folder, 'a.lmdb');
  await pack(await folderSource(join(folder, 'in')), path, { shardSize });
  return { folder, path };
}

describe('verifyPack', () => {
  it('finds nothing in what was just packed, in all its files', async () => {
    const { path } = await noise(5, 2);
    expect(await verifyPack(path)).toEqual({ path, pictures: 5, arrays: 0, decoded: 0, faults: [] });
  });

  it('names the pair in which one bit is another one: of a picture, of a caption, of an array', async () => {
    const { folder, path } = await noise(6);
    const whole = await readFile(path);
    const picture = await readFile(join(folder, 'in', 'k3.png'));
    const flip = async (at: number): Promise<unknown> => {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] as number) ^ 4;
      await writeFile(join(folder, 'b.lmdb'), bytes);
      return (await verifyPack(join(folder, 'b.lmdb'))).faults;
    };
    const file = join(folder, 'b.lmdb');
    for (const offset of [0, 1000, picture.length - 1])
      expect(await flip(whole.indexOf(picture) + offset)).toEqual([{ file, key: 'k3', reason: CHANGED }]);
    expect(await flip(whole.lastIndexOf('caption of 4'))).toEqual([{ file, key: 'k4', reason: CHANGED }]);

    const arrays = join(folder, 'arrays.lmdb');
    const writer = await createPack(arrays);
    writer.putArray('tokens', 'x', { dtype: 'u16', shape: [4], data: Uint16Array.of(7, 77, 777, 7777) });
    writer.putArray('tokens', 'y', { dtype: 'u16', shape: [4], data: Uint16Array.of(5, 55, 555, 5555) });
    await writer.commit();
    expect(await verifyPack(arrays)).toMatchObject({ pictures: 0, arrays: 2, faults: [] });
    const bytes = await readFile(arrays);
    bytes.writeUInt16LE(778, bytes.lastIndexOf(Buffer.from(Uint16Array.of(777, 7777).buffer)));
    await writeFile(file, bytes);
    expect((await verifyPack(file)).faults).toEqual([{ file, key: 'tokens of x', reason: CHANGED }]);
  });

  it('names what is missing and what was slipped in', async () => {
    const { folder, path } = await noise(3);
    await copyFile(path, join(folder, 'b.lmdb'));
    const file = join(folder, 'b.lmdb');
    const root = open({ path: file, noSubdir: true, maxDbs: 8, encoding: 'binary' });
    root.openDB('images', { encoding: 'binary' }).removeSync('k1');
    const records = root.openDB('records', { encoding: 'json' });
    records.putSync('new', records.get('k0'));
    await root.close();
    expect((await verifyPack(file)).faults).toEqual([
      { file, key: 'k1', reason: 'its picture is missing' },
      { file, key: 'new', reason: 'it has no checksum' },
      { file, key: '', reason: '4 pictures instead of 3' },
    ]);
  });

  it('decodes the pictures of a pack that is older than checksums', async () => {
    const { folder, path } = await noise(3);
    const old = join(folder, 'old.lmdb');
    const root = open({ path: old, noSubdir: true, maxDbs: 8, encoding: 'binary' });
    const header = { format: 'star-webgpu-pack', version: 1, name: 'old', pictures: 3 };
    root.putSync('header', Buffer.from(JSON.stringify(header)));
    const reader = await openPack(path);
    for (const key of reader.keys()) {
      const { image, ...record } = reader.get(key);
      root.openDB('records', { encoding: 'json' }).putSync(key, record);
      const bytes = Buffer.from(key === 'k2' ? image.subarray(0, 2000) : image);
      root.openDB('images', { encoding: 'binary' }).putSync(key, bytes);
    }
    root.openDB('arrays', { encoding: 'binary' });
    await root.close();
    await reader.close();
    expect(await verifyPack(old)).toMatchObject({
      pictures: 3,
      decoded: 3,
      faults: [{ file: old, key: 'k2', reason: 'its PNG data is damaged or cut short' }],
    });
  });
});

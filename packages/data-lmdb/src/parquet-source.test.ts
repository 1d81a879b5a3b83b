import { createHash } from 'node:crypto';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parquetWriteFile } from 'hyparquet-writer';
import { describe, expect, it, onTestFinished } from 'vitest';
import { pack } from './pack.ts';
import { parquetSource } from './parquet-source.ts';
import { openPack } from './reader.ts';
import { sourceOf } from './source-of.ts';
import { plainPng, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';

/** Tables that pyarrow 25 wrote, of one set of seven pictures or of paths. */
const golden = (name: string): string =>
  fileURLToPath(new URL(`../test/golden/parquet-${name}.parquet`, import.meta.url));
/** sha256 of the seven pictures, by the Python script that made them. */
const PICTURES = '680c063b0f1c657089f46ab28ba307db30577811e757bbf2008c8c0815306238';

async function sha256Of(reads: readonly (() => Promise<Uint8Array>)[]): Promise<string> {
  const hash = createHash('sha256');
  for (const bytes of await Promise.all(reads.map((read) => read()))) hash.update(bytes);
  return hash.digest('hex');
}

describe('parquetSource', () => {
  it('reads Hugging Face’s structs of bytes and path, zstd, several row groups, captions that are missing', async () => {
    const path = golden('struct-zstd');
    const { entries } = await sourceOf(path);
    expect(entries.map(({ key, captions }) => [key, ...captions])).toEqual([
      ['parquet-struct-zstd-000000', 'number 0', 'the picture after -1'],
      ['parquet-struct-zstd-000001', 'number 1', 'the picture after 0'],
      ['parquet-struct-zstd-000002', 'number 2', 'the picture after 1'],
      ['parquet-struct-zstd-000003', 'number 3', 'the picture after 2'],
      ['parquet-struct-zstd-000004', 'the picture after 3'],
      ['parquet-struct-zstd-000005', 'number 5', 'the picture after 4'],
      ['parquet-struct-zstd-000006', 'number 6', 'the picture after 5'],
    ]);
    expect(await sha256Of(entries.map(({ read }) => read))).toBe(PICTURES);
    const report = await pack(await sourceOf(path), join(await temporaryFolder(), 'a.lmdb'));
    expect(report).toMatchObject({ packed: 7, refused: [] });
    const reader = await openPack(report.path);
    onTestFinished(() => reader.close());
    expect(reader.keys().map((key) => reader.record(key).width)).toEqual([2, 3, 4, 5, 6, 7, 8]);
  });

  it('reads bytes with keys and lists of captions, snappy, pages of version 2', async () => {
    const { entries } = await sourceOf(golden('bytes-snappy'));
    expect(entries.map(({ key }) => key)).toEqual(['10', '11', '12', '13', '14', '15', '16']);
    expect(entries.map(({ captions }) => captions.join())).toEqual([
      'a0,b0',
      'a1,b1',
      'a2,b2',
      'a3,b3',
      'a4,b4',
      'a5,b5',
      '',
    ]);
    expect(entries[6]!.captionFault).toBe('no caption in row 6');
    // out of order, so that row groups come and go
    const backwards: Uint8Array[] = [];
    for (const { read } of entries.toReversed()) backwards.push(await read());
    expect(await sha256Of(backwards.toReversed().map((bytes) => () => Promise.resolve(bytes)))).toBe(PICTURES);
  });

  it('reads pictures by paths relative to the table, and says of each row that has none', async () => {
    const folder = await temporaryFolder();
    const png = await plainPng(2, 2, [1, 2, 3]);
    await writeFiles(folder, { 'deep/a.png': png, 'b.png': png });
    await cp(golden('paths-gzip'), join(folder, 'list.parquet'));
    const report = await pack(await sourceOf(folder), join(folder, 'out.lmdb'));
    const at = (index: number): string => `${join(folder, 'list.parquet')}#${index}`;
    expect(report.refused).toEqual([
      { file: at(2), reason: 'broken picture: neither bytes nor a path in column file_name' },
      { file: at(3), reason: 'no such picture' },
    ]);
    const reader = await openPack(report.path);
    onTestFinished(() => reader.close());
    expect(reader.keys().map((key) => reader.record(key).captions)).toEqual([['one'], ['zwei 狗']]);
  });

  it('gives each of sixty rows its own picture, over six row groups', async () => {
    const path = join(await temporaryFolder(), 'many.parquet');
    const data = Array.from({ length: 60 }, (_, i) => new Uint8Array(30_000).map((_, k) => (i * k * 7) % 251));
    parquetWriteFile({
      filename: path,
      columnData: [
        { name: 'image', data, type: 'BYTE_ARRAY' },
        { name: 'text', data: data.map((_, i) => `t${i}`), type: 'STRING' },
      ],
      rowGroupSize: 10,
    });
    const { entries } = await parquetSource(path);
    for (const [i, entry] of entries.entries()) {
      expect(entry.captions).toEqual([`t${i}`]);
      expect(Buffer.compare(await entry.read(), data[i]!)).toBe(0);
    }
  });

  it('gives up a damaged page that keeps the library busy, names it, and reads the next table', async () => {
    const folder = await temporaryFolder();
    const [whole, damaged] = [join(folder, 'a.parquet'), join(folder, 'b.parquet')];
    // The length of the first text, 0x7ff, goes on the count of a run that ends before it: 2^30 values instead of 100.
    const texts = Array.from({ length: 200 }, (_, i) =>
      i === 0 ? 'x'.repeat(0x7ff) : i === 150 ? undefined : `t${i}`,
    );
    parquetWriteFile({
      filename: whole,
      codec: 'UNCOMPRESSED',
      rowGroupSize: 100,
      columnData: [
        { name: 'path', data: texts.map((_, i) => `${i}.png`), type: 'STRING' },
        { name: 'text', data: texts, type: 'STRING', nullable: true },
      ],
    });
    expect((await parquetSource(whole)).entries).toHaveLength(200);
    const bytes = await readFile(whole);
    const text = bytes.indexOf('xxx');
    expect(bytes.subarray(text - 7, text)).toEqual(Buffer.from('c80101ff070000', 'hex'));
    bytes.fill(0xff, text - 6, text - 4);
    await writeFile(damaged, bytes);
    await expect(parquetSource(damaged, { timeLimit: 4000 })).rejects.toThrow(
      `pack: source must be a parquet table with readable rows 0 to 99 in row group 0, got no answer within 4 s in ${damaged}.`,
    );
    expect((await parquetSource(whole)).entries[150]!.captions).toEqual([]);
  });

  it('refuses a table without pictures, and files that are none or cut short', async () => {
    await expect(parquetSource(golden('no-pictures'))).rejects.toThrow(
      `pack: source must be a parquet table with a column of image, jpg, png, webp, file_name, file, image_path, path, got x in ${golden('no-pictures')}. Copy it again, or rename its columns.`,
    );
    const path = join(await temporaryFolder(), 'a.parquet');
    const whole = await readFile(golden('struct-zstd'));
    for (const bytes of [Buffer.from(''), Buffer.from('no parquet at all'), whole.subarray(0, whole.length - 100)]) {
      await writeFile(path, bytes);
      await expect(parquetSource(path)).rejects.toThrow(
        'pack: source must be a parquet table with whole metadata, got ',
      );
    }
    const damaged = Buffer.from(whole);
    damaged.fill(255, 4, 200);
    await writeFile(path, damaged);
    const { entries } = await parquetSource(path);
    expect(entries).toHaveLength(7);
    await expect(entries[0]!.read()).rejects.toThrow(
      'pack: source must be a parquet table with readable rows 0 to 2 in row group 0, got ',
    );
  });
});

import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { pack, type PackProgress } from './pack.ts';
import { openPack } from './reader.ts';
import { sourceOf } from './source-of.ts';
import { folderSource } from './sources.ts';
import { runModule, startModule, succeeds } from './testing/child.ts';
import { noisePng, plainPng, writeColors, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';

const captionOfFirst = async (path: string): Promise<string | undefined> => {
  const reader = await openPack(path);
  const caption = reader.record(reader.keys()[0] as string).captions[0];
  await reader.close();
  return caption;
};

describe('pack', () => {
  it('packs the good pictures of a folder and lists the bad ones with their reasons', async () => {
    const folder = await temporaryFolder();
    const noise = await noisePng(65, 33, 1);
    const corrupt = Buffer.from(noise);
    corrupt.fill(0x55, corrupt.length >> 1, (corrupt.length >> 1) + 9);
    const jpeg = await sharp(noise).jpeg().toBuffer();
    await writeFiles(join(folder, 'in'), {
      'good.png': noise,
      'good.txt': 'good',
      'rotated.jpg': await sharp(noise).withMetadata({ orientation: 8 }).jpeg().toBuffer(),
      'rotated.txt': 'rotated',
      'corrupt.png': corrupt,
      'corrupt.txt': 'corrupt',
      'cut.jpg': jpeg.subarray(0, jpeg.length >> 1),
      'cut.txt': 'cut',
      'text.png': 'no picture at all',
      'text.txt': 'text',
      'mute.png': noise,
      'good.webp': await sharp(noise).webp().toBuffer(),
    });
    const path = join(folder, 'set.lmdb');
    const report = await pack(await folderSource(join(folder, 'in')), path);
    expect(report).toMatchObject({ path, packed: 2 });
    const expected = [
      { file: 'corrupt.png', reason: 'broken picture: its PNG data is damaged or cut short' },
      { file: 'cut.jpg', reason: 'broken picture: its JPEG data is damaged or cut short' },
      { file: 'good.webp', reason: 'another picture has the key good already' },
      { file: 'mute.png', reason: 'no caption: no mute.txt or mute.json' },
      { file: 'text.png', reason: 'broken picture: no picture format that is known' },
    ];
    expect(report.refused).toEqual(expected);
    const listed = (await readFile(join(folder, 'set.refused.jsonl'), 'utf8')).trim().split('\n');
    expect(listed.map((line) => JSON.parse(line))).toEqual(report.refused);
    const summary = JSON.parse(await readFile(join(folder, 'set.json'), 'utf8'));
    expect(summary).toEqual({ name: 'set', packed: 2, bytes: report.bytes, refused: 5 });
    const reader = await openPack(path);
    expect(reader.record('rotated')).toMatchObject({ width: 33, height: 65 });
    await reader.close();
  });

  it('lists the pictures that a .jsonl names and that are not there', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      'a.png': await plainPng(3, 5, [1, 2, 3]),
      'list.jsonl': '{"image":"a.png","caption":"a"}\n{"image":"gone.png","caption":"b"}\nbroken\n',
    });
    const report = await pack(await sourceOf(join(folder, 'list.jsonl')), join(folder, 'a.lmdb'));
    expect(report.packed).toBe(1);
    expect(report.refused).toEqual([
      { file: `${join(folder, 'list.jsonl')}:3`, reason: 'not JSON' },
      { file: 'gone.png', reason: 'no such picture' },
    ]);
  });

  it('reports progress to the last picture', async () => {
    const folder = await temporaryFolder();
    await writeColors(join(folder, 'in'), 5);
    const steps: PackProgress[] = [];
    const onProgress = (progress: PackProgress): void => void steps.push(progress);
    const report = await pack(await folderSource(join(folder, 'in')), join(folder, 'a.lmdb'), { onProgress });
    expect(steps.map(({ done, total }) => `${done}/${total}`)).toEqual(['1/5', '2/5', '3/5', '4/5', '5/5']);
    expect(steps.at(-1)).toMatchObject({ bytes: report.bytes });
    expect(steps.at(-1)?.rate).toBeGreaterThan(0);
  });

  it('writes pictures anew as squares of PNG when asked to', async () => {
    const folder = await temporaryFolder();
    const webp = await sharp({ create: { width: 9, height: 5, channels: 4, background: '#0000' } })
      .webp()
      .toBuffer();
    await writeFiles(join(folder, 'in'), { 'a.webp': webp, 'a.txt': 'a' });
    const path = join(folder, 'a.lmdb');
    await pack(await folderSource(join(folder, 'in')), path, { encode: { format: 'png', size: 7 } });
    const reader = await openPack(path);
    const { image, ...record } = reader.get('a');
    expect(record).toMatchObject({ width: 7, height: 7, mime: 'image/png' });
    expect([...(await sharp(image).raw().toBuffer())].every((value) => value === 255)).toBe(true);
    await reader.close();
  });

  it('packing again replaces the pack and the list of what was refused', async () => {
    const folder = await temporaryFolder();
    await writeColors(join(folder, 'in'), 2);
    await writeFiles(join(folder, 'in'), { 'stray.txt': 'no picture' });
    const path = join(folder, 'a.lmdb');
    await pack(await folderSource(join(folder, 'in')), path);
    await writeColors(join(folder, 'other'), 3);
    await pack(await folderSource(join(folder, 'other')), path);
    const reader = await openPack(path);
    expect(reader.size).toBe(3);
    await reader.close();
    expect((await readdir(folder)).toSorted()).toEqual(['a.json', 'a.lmdb', 'a.lmdb-lock', 'in', 'other']);
  });
});

describe('what was there before stays when', () => {
  async function packed(): Promise<{ folder: string; path: string }> {
    const folder = await temporaryFolder();
    await writeColors(join(folder, 'in'), 3);
    const path = join(folder, 'a.lmdb');
    await pack(await folderSource(join(folder, 'in')), path);
    return { folder, path };
  }

  it('the source is an empty folder', async () => {
    const { folder, path } = await packed();
    await writeFiles(folder, { 'empty/.hidden': '' });
    await expect(pack(await folderSource(join(folder, 'empty')), path)).rejects.toThrow(
      `pack: source must hold at least one picture with a caption, got none in ${join(folder, 'empty')}. ` +
        'Put pictures there with a .txt or .json file of the same name beside each.',
    );
    expect(await captionOfFirst(path)).toBe('number 0');
  });

  it('every picture is refused', async () => {
    const { folder, path } = await packed();
    await writeFiles(folder, { 'bad/a.png': 'x', 'bad/a.txt': 'a', 'bad/b.png': 'x' });
    await expect(pack(await folderSource(join(folder, 'bad')), path)).rejects.toThrow(
      '(2 refused, the first: a.png: broken picture: no picture format that is known)',
    );
    expect(await captionOfFirst(path)).toBe('number 0');
    expect((await readdir(folder)).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('a signal stops the packing', async () => {
    const { folder, path } = await packed();
    await writeColors(join(folder, 'other'), 4);
    const stop = new AbortController();
    const onProgress = (): void => stop.abort(new Error('enough'));
    const packing = pack(await folderSource(join(folder, 'other')), path, { onProgress, signal: stop.signal });
    await expect(packing).rejects.toThrow('enough');
    const reader = await openPack(path);
    expect(reader.size).toBe(3);
    await reader.close();
    expect((await readdir(folder)).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('the packer is killed, and the next packing removes what it left', async () => {
    const { folder, path } = await packed();
    await writeColors(join(folder, 'other'), 40);
    const child = startModule(`
      import { folderSource, pack } from '@star-webgpu/data-lmdb';
      const source = await folderSource(${JSON.stringify(join(folder, 'other'))});
      const forever = { ...source.entries[39], read: () => new Promise(() => setInterval(() => undefined, 1000)) };
      const onProgress = ({ done }) => done === 20 && console.log('half way');
      await pack({ ...source, entries: [...source.entries.slice(0, 39), forever] }, ${JSON.stringify(path)}, { onProgress });`);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
    const abandoned = (await readdir(folder)).filter((name) => name.includes('.tmp-'));
    expect(abandoned).toContain(`a.lmdb.tmp-${child.pid}`);
    expect(await captionOfFirst(path)).toBe('number 0');
    const report = await pack(await folderSource(join(folder, 'other')), path);
    expect(report.packed).toBe(40);
    expect((await readdir(folder)).filter((name) => name.includes('.tmp-'))).toEqual([]);
  });
});

/** Ways to run out of room after 2 MB without filling the machine's disk; the folder to write to comes as $1. */
const SMALL_DISKS = {
  'a disk': [
    'unshare',
    '--user',
    '--map-root-user',
    '--mount',
    'sh',
    '-c',
    'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"',
  ],
  'the allowed size of a file': ['bash', '-c', 'trap "" XFSZ; ulimit -f 2048; exec "$@"'],
} as const;
const mayMount = succeeds(['unshare', '--user', '--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
const available = Object.entries(SMALL_DISKS).filter(([name]) => mayMount || name !== 'a disk');

describe.each(available)('%s that fills up while packing', (_name, enclosure) => {
  it('gives one clear error and leaves the old pack whole', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'disk/keep': '' });
    await writeColors(join(folder, 'small'), 3);
    for (let i = 0; i < 12; i++) {
      await writeFiles(join(folder, 'large'), { [`${i}.png`]: await noisePng(290, 290, i), [`${i}.txt`]: 'noise' });
    }
    const outcome = await runModule(
      `import { folderSource, openPack, pack } from '@star-webgpu/data-lmdb';
      import { readdirSync } from 'node:fs';
      const folder = ${JSON.stringify(folder)};
      const path = folder + '/disk/a.lmdb';
      await pack(await folderSource(folder + '/small'), path);
      const error = await pack(await folderSource(folder + '/large'), path).catch((error) => error);
      const reader = await openPack(path);
      const left = readdirSync(folder + '/disk').filter((name) => name.includes('tmp'));
      console.log(JSON.stringify({ kind: error.kind, message: error.message, keys: reader.keys(), left }));
      await reader.close();`,
      [...enclosure, join(folder, 'disk')],
    );
    const result = JSON.parse(outcome.out);
    expect(result).toMatchObject({ kind: 'disk-full', keys: ['p00', 'p01', 'p02'], left: [] });
    expect(result.message).toMatch(
      /^pack: disk must have room for the pack, got ".+" while writing .+a\.lmdb\. Free some space or pack to another disk; what was there before is unchanged\.$/,
    );
  });
});

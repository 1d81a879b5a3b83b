import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { PackFilters } from './filters.ts';
import { pack, type PackOptions, type PackProgress } from './pack.ts';
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

/** Folders beside a pack that hold its further files, or what was left of one in the making. */
const partsIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.includes('.parts-'));

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
    expect(await partsIn(folder)).toEqual([]);
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
    const resumed: number[] = [];
    const onResumed = (progress: PackProgress): void => void resumed.push(progress.resumed);
    const report = await pack(await folderSource(join(folder, 'other')), path, { onProgress: onResumed });
    expect(report.packed).toBe(4);
    expect(resumed).toEqual([1, 1, 1]);
    expect(await partsIn(folder)).toEqual([]);
  });

  it('the packer is killed, and packing something else removes what it left', async () => {
    const { folder, path } = await packed();
    await writeColors(join(folder, 'other'), 40);
    const child = startModule(`
      import { folderSource, pack } from '@star-webgpu/data-lmdb';
      const source = await folderSource(${JSON.stringify(join(folder, 'other'))});
      const forever = { ...source.entries[39], read: () => new Promise(() => setInterval(() => undefined, 1000)) };
      const onProgress = ({ done }) => done === 20 && console.log('half way');
      await pack({ ...source, entries: [...source.entries.slice(0, 39), forever] }, ${JSON.stringify(path)}, { onProgress });`);
    await once(child.stdout, 'data');
    const busy = pack(await folderSource(join(folder, 'other')), path);
    await expect(busy).rejects.toThrow(
      `pack: path must be written by one process at a time, got process ${child.pid} at work in `,
    );
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await partsIn(folder)).toHaveLength(1);
    expect(await captionOfFirst(path)).toBe('number 0');
    const report = await pack(await folderSource(join(folder, 'in')), path);
    expect(report.packed).toBe(3);
    expect(await partsIn(folder)).toEqual([]);
  });
});

describe('a pack of more pictures than go into one file', () => {
  it('is several files that read as one, found through a link too', async () => {
    const folder = await temporaryFolder();
    await writeColors(join(folder, 'in'), 11);
    await writeFiles(join(folder, 'in'), { 'p04.txt': '' });
    const path = join(folder, 'a.lmdb');
    const report = await pack(await folderSource(join(folder, 'in')), path, { shardSize: 4 });
    expect(report.packed).toBe(10);
    const [parts] = (await partsIn(folder)) as [string];
    expect((await readdir(join(folder, parts))).filter((name) => name.endsWith('.lmdb'))).toEqual([
      '00001.lmdb',
      '00002.lmdb',
    ]);
    await mkdir(join(folder, 'links'));
    await symlink(path, join(folder, 'links', 'b.lmdb'));
    for (const file of [path, join(folder, 'links', 'b.lmdb')]) {
      const reader = await openPack(file);
      expect([reader.name, reader.size]).toEqual(['a', 10]);
      const kept = ['p00', 'p01', 'p02', 'p03', 'p05', 'p06', 'p07', 'p08', 'p09', 'p10'];
      expect(reader.keys()).toEqual(kept);
      for (const key of kept) {
        expect(reader.has(key)).toBe(true);
        expect(reader.get(key).captions[0]).toBe(`number ${Number(key.slice(1))}`);
        expect(Buffer.compare(reader.get(key).image, await readFile(join(folder, 'in', `${key}.png`)))).toBe(0);
      }
      expect(reader.has('p04')).toBe(false);
      expect(() => reader.get('p04')).toThrow('get: key must be in the pack, got p04');
      await reader.close();
    }
    await rename(join(folder, parts, '00002.lmdb'), join(folder, 'elsewhere'));
    await expect(openPack(path)).rejects.toThrow(
      `openPack: pack must have all of its 3 files, got none at ${join(folder, parts, '00002.lmdb')}. Copy the folder ${join(folder, parts)} too.`,
    );
  });

  it('takes the place of another in one step, whose files are removed then', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'a.lmdb');
    await writeColors(join(folder, 'in'), 5);
    await pack(await folderSource(join(folder, 'in')), path, { shardSize: 2 });
    const [before] = await partsIn(folder);
    await pack(await folderSource(join(folder, 'in')), path, { shardSize: 2 });
    const [after, ...others] = await partsIn(folder);
    expect(others).toEqual([]);
    expect(after).not.toBe(before);
    await pack(await folderSource(join(folder, 'in')), path);
    expect(await partsIn(folder)).toEqual([]);
    expect(await captionOfFirst(path)).toBe('number 0');
  });

  it('of no size is refused', async () => {
    const folder = await temporaryFolder();
    await writeColors(join(folder, 'in'), 1);
    await expect(
      pack(await folderSource(join(folder, 'in')), join(folder, 'a.lmdb'), { shardSize: 0 }),
    ).rejects.toThrow('pack: shardSize must be a whole number from 1, got 0. Choose another.');
  });
});

describe('filters', () => {
  it('leave out by key, score, caption length, side and ratio, and say why', async () => {
    const folder = await temporaryFolder();
    const sides = {
      a: [20, 20],
      b: [20, 9],
      c: [50, 20],
      d: [20, 20],
      e: [20, 20],
      f: [20, 20],
      g: [20, 20],
      h: [20, 40],
    };
    for (const [key, [width, height]] of Object.entries(sides) as [string, [number, number]][])
      await writeFiles(folder, {
        [`in/${key}.png`]: await plainPng(width, height, [1, 2, 3]),
        [`in/${key}.txt`]: key === 'd' ? 'x\n狗🐕' : `caption of ${key}\nno`,
      });
    const filters: PackFilters = {
      captionLength: { min: 3, max: 12 },
      minSide: 10,
      maxAspect: 2,
      keys: new Set(['a', 'b', 'c', 'd', 'e', 'g', 'h']),
      exceptKeys: new Set(['e']),
      score: { of: new Map([...'abcdefh'].map((key) => [key, key === 'a' ? 4.5 : 6])), least: 4.5 },
    };
    const report = await pack(await folderSource(join(folder, 'in')), join(folder, 'a.lmdb'), { filters });
    expect(report.refused).toEqual([
      { file: 'b.png', reason: 'its 20 x 9 have a side below 10' },
      { file: 'c.png', reason: 'its 50 x 20 are slimmer than 2 to 1' },
      { file: 'd.png', reason: 'none of its 2 captions has a length that is wanted' },
      { file: 'e.png', reason: 'its key is among those to leave out' },
      { file: 'f.png', reason: 'its key is not among those to pack' },
      { file: 'g.png', reason: 'it has no score' },
    ]);
    const stricter = { ...filters, score: { ...filters.score!, least: 5 } };
    const other = await pack(await folderSource(join(folder, 'in')), join(folder, 'b.lmdb'), { filters: stricter });
    expect(other.refused[0]).toEqual({ file: 'a.png', reason: 'its score of 4.5 is below 5' });
    const reader = await openPack(report.path);
    expect(reader.keys()).toEqual(['a', 'h']);
    expect(reader.record('a').captions).toEqual(['caption of a']);
    await reader.close();
  });
});

/** Ways to run out of room after 2 MB without filling the machine's disk; the folder to write to comes as $1. */
const SMALL_DISKS = {
  'a disk': {
    enclosure: [
      'unshare',
      '--user',
      '--map-root-user',
      '--mount',
      'sh',
      '-c',
      'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"',
    ],
    // Several files, so that some are safe before the disk is full.
    options: { name: 'a', shardSize: 2 },
    least: 2,
  },
  'the allowed size of a file': {
    enclosure: ['bash', '-c', 'trap "" XFSZ; ulimit -f 2048; exec "$@"'],
    options: { name: 'a' },
    least: 0,
  },
} satisfies Record<string, { enclosure: readonly string[]; options: PackOptions; least: number }>;
const mayMount = succeeds(['unshare', '--user', '--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
const available = Object.entries(SMALL_DISKS).filter(([name]) => mayMount || name !== 'a disk');

describe.each(available)('%s that fills up while packing', (_name, { enclosure, options, least }) => {
  it('gives one clear error, leaves the old pack whole, and packing goes on where there is room', async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { 'disk/keep': '' });
    await writeColors(join(folder, 'small'), 3);
    for (let i = 0; i < 12; i++) {
      await writeFiles(join(folder, 'large'), { [`${i}.png`]: await noisePng(290, 290, i), [`${i}.txt`]: 'noise' });
    }
    const outcome = await runModule(
      `import { folderSource, openPack, pack } from '@star-webgpu/data-lmdb';
      import { cpSync } from 'node:fs';
      const folder = ${JSON.stringify(folder)};
      const path = folder + '/disk/a.lmdb';
      await pack(await folderSource(folder + '/small'), path);
      const error = await pack(await folderSource(folder + '/large'), path, ${JSON.stringify(options)}).catch((error) => error);
      const reader = await openPack(path);
      console.log(JSON.stringify({ kind: error.kind, message: error.message, keys: reader.keys() }));
      await reader.close();
      cpSync(folder + '/disk', folder + '/larger', { recursive: true });`,
      [...enclosure, join(folder, 'disk')],
    );
    const result = JSON.parse(outcome.out);
    expect(result).toMatchObject({ kind: 'disk-full', keys: ['p00', 'p01', 'p02'] });
    expect(result.message).toMatch(
      /^pack: disk must have room for the pack, got ".+" while writing .+a\.lmdb\. Free some space and pack again, which goes on from there, or pack to another disk; what was there before is unchanged\.$/,
    );
    // The copy of the disk has room.
    const resumed: number[] = [];
    const report = await pack(await folderSource(join(folder, 'large')), join(folder, 'larger/a.lmdb'), {
      ...options,
      onProgress: (progress) => void resumed.push(progress.resumed),
    });
    expect(report.packed).toBe(12);
    expect(resumed[0]).toBeGreaterThanOrEqual(least);
    const reader = await openPack(report.path);
    for (const key of reader.keys())
      expect(Buffer.compare(reader.get(key).image, await readFile(join(folder, 'large', `${key}.png`)))).toBe(0);
    await reader.close();
  });
});

import { chmod, copyFile, cp, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'lmdb';
import { describe, expect, it } from 'vitest';
import { pack, type PackOptions } from './pack.ts';
import { openPack } from './reader.ts';
import { folderSource } from './sources.ts';
import { runModule } from './testing/child.ts';
import { noisePng, writeColors, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';
import { createPack } from './writer.ts';

const FORMAT_1 = fileURLToPath(new URL('../test/golden/reference-pack.lmdb', import.meta.url));

async function colors(count: number): Promise<string> {
  const folder = await temporaryFolder();
  await writeColors(join(folder, 'pictures'), count);
  const path = join(folder, 'colors.lmdb');
  await pack(await folderSource(join(folder, 'pictures')), path);
  return path;
}

describe('openPack', () => {
  it('gives back the bytes and captions that were packed', async () => {
    const folder = await temporaryFolder();
    const image = await noisePng(33, 17, 5);
    await writeFiles(folder, { 'in/a.png': image, 'in/a.txt': 'one\ntwo' });
    await pack(await folderSource(join(folder, 'in')), join(folder, 'x.lmdb'));
    const reader = await openPack(join(folder, 'x.lmdb'));
    expect([reader.name, reader.size, reader.keys()]).toEqual(['x', 1, ['a']]);
    const { image: read, ...record } = reader.get('a');
    expect(Buffer.compare(read, image)).toBe(0);
    const expected = {
      captions: ['one', 'two'],
      width: 33,
      height: 17,
      mime: 'image/png',
      source: 'a.png',
      labels: {},
    };
    expect(record).toEqual(expected);
    expect(reader.record('a')).toEqual(expected);
    await reader.close();
  });

  it('an unknown key is refused by name', async () => {
    const reader = await openPack(await colors(1));
    expect(reader.has('nope')).toBe(false);
    expect(() => reader.get('nope')).toThrow(`get: key must be in the pack, got nope for ${reader.path}. See keys().`);
    await reader.close();
  });

  it('has a digest of its pictures and captions, however they are spread over files', async () => {
    const folder = await temporaryFolder();
    const digestOf = async (name: string, options?: PackOptions, keys?: string[]): Promise<string> => {
      await pack(await folderSource(join(folder, 'in')), join(folder, name), options);
      const reader = await openPack(join(folder, name));
      const digest = reader.digest(keys);
      await reader.close();
      return digest;
    };
    await writeColors(join(folder, 'in'), 5);
    const first = await digestOf('one.lmdb');
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await digestOf('shards.lmdb', { shardSize: 2 })).toBe(first);
    expect(await digestOf('one.lmdb', {}, ['p03', 'p01', 'p04', 'p00', 'p02'])).toBe(first);
    const some = await digestOf('one.lmdb', {}, ['p03', 'p01']);
    await writeFile(join(folder, 'in/p02.txt'), 'another caption');
    const changed = await digestOf('changed.lmdb');
    expect(await digestOf('changed.lmdb', {}, ['p01', 'p03'])).toBe(some);
    await writeFile(join(folder, 'in/p02.png'), await noisePng(5, 7, 1));
    expect(new Set([first, some, changed, await digestOf('picture.lmdb')]).size).toBe(4);
  });

  it('two readers of one pack do not disturb each other', async () => {
    const path = await colors(3);
    const [first, second] = [await openPack(path), await openPack(path)];
    await first.close();
    expect(second.get('p01').captions[0]).toBe('number 1');
    await second.close();
  });

  it('threads of a process read one pack at once, each to its end, whichever closes first', async () => {
    const path = await colors(40);
    const reading = `import { createHash } from 'node:crypto';
      import { setTimeout } from 'node:timers/promises';
      import { parentPort, workerData } from 'node:worker_threads';
      const { register } = await import(workerData.tsx);
      register();
      const { loadBatches, openPack } = await import(workerData.source);
      const pack = await openPack(workerData.path);
      const hash = createHash('sha256');
      let steps = 0;
      for await (const { images, keys } of loadBatches({ packs: [pack], batch: 4, size: 8, seed: 3 })) {
        hash.update(keys.join()).update(images);
        await setTimeout(workerData.pause);
        if (++steps === 25) break;
      }
      await pack.close();
      parentPort.postMessage(hash.digest('hex'));`;
    const code = `import { Worker } from 'node:worker_threads';
      const given = { tsx: import.meta.resolve('tsx/esm/api'), source: import.meta.resolve('@star-webgpu/data-lmdb') };
      const digests = [0, 1, 5, 9].map((pause) => {
        const workerData = { ...given, path: ${JSON.stringify(path)}, pause };
        const thread = new Worker(${JSON.stringify(reading)}, { eval: true, workerData });
        return new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject));
      });
      console.log(JSON.stringify(await Promise.all(digests)));`;
    const { err, out } = await runModule(code);
    expect(err).toBe('');
    const digests = JSON.parse(out) as string[];
    expect(digests).toHaveLength(4);
    expect(new Set(digests).size).toBe(1);
  });

  it('reads a pack in a folder where it must not write', async () => {
    const path = await colors(3);
    const folder = join(await temporaryFolder(), 'sealed');
    await mkdir(folder);
    await copyFile(path, join(folder, 'colors.lmdb'));
    await chmod(folder, 0o555);
    const code = `import { openPack } from '@star-webgpu/data-lmdb';
      if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
      const reader = await openPack(${JSON.stringify(join(folder, 'colors.lmdb'))});
      console.log(reader.get('p02').captions[0]);
      await reader.close();`;
    await chmod(join(folder, '..'), 0o755);
    expect(await runModule(code)).toMatchObject({ code: 0, out: 'number 2\n' });
    expect(await readdir(folder)).toEqual(['colors.lmdb']);
    await chmod(folder, 0o755);
  });
});

describe('arrays', () => {
  it('are kept by kind and key, in a pack without pictures too', async () => {
    const path = join(await temporaryFolder(), 'tokens.lmdb');
    const writer = await createPack(path);
    writer.putArray('tokens', 'b', { dtype: 'u32', shape: [1, 3], data: new Uint32Array([7, 0, 4095]) });
    writer.putArray('tokens', 'a', { dtype: 'u32', shape: [1, 1], data: new Uint32Array([1]) });
    writer.putArray('text', 'b', { dtype: 'f16', shape: [2], data: new Uint16Array([0x3c00, 0]) });
    await writer.commit();
    const reader = await openPack(path);
    expect(reader.size).toBe(0);
    expect(reader.arrayKeys('tokens')).toEqual(['a', 'b']);
    expect(reader.arrayKeys('text')).toEqual(['b']);
    expect(reader.getArray('tokens', 'b')).toEqual({
      dtype: 'u32',
      shape: [1, 3],
      data: new Uint32Array([7, 0, 4095]),
    });
    expect(() => reader.getArray('text', 'a')).toThrow('got text of a for');
    await reader.close();
  });
});

describe('a file that is no pack', () => {
  it('of LMDB data format 1 is refused by name, and this process lives on', async () => {
    await expect(openPack(FORMAT_1)).rejects.toThrow(
      "openPack: file must be a pack of ours, got LMDB data format 1 (written by Python's lmdb or LMDB 0.9) at " +
        `${FORMAT_1}. Make a pack of it first: star pack FILE --out PACK, or pack(await sourceOf(file), path).`,
    );
  });

  it('that is not there is refused', async () => {
    await expect(openPack('/nowhere/a.lmdb')).rejects.toThrow(
      'openPack: file must exist, got none at /nowhere/a.lmdb. Make it with pack().',
    );
  });

  it.each([
    ['an empty file', Buffer.alloc(0), 'be an LMDB file, got 0 bytes at offset 0'],
    ['a text', Buffer.from('hello '.repeat(2000)), 'be an LMDB file, got something else'],
    ['zeros', Buffer.alloc(8192), 'be an LMDB file, got something else'],
  ])('but %s is refused', async (_name, bytes, message) => {
    const path = join(await temporaryFolder(), 'a.lmdb');
    await writeFile(path, bytes);
    await expect(openPack(path)).rejects.toThrow(
      `openPack: file must ${message} at ${path}. Give the .lmdb file that pack() made.`,
    );
  });

  it('but a folder is refused', async () => {
    const folder = await temporaryFolder();
    await expect(openPack(folder)).rejects.toThrow('openPack: file must be an LMDB file, got a folder at');
  });

  it('but a pack cut short is refused', async () => {
    const path = await colors(9);
    const { length } = await readFile(path);
    await cp(path, `${path}.cut`);
    await truncate(`${path}.cut`, length - 4096);
    await expect(openPack(`${path}.cut`)).rejects.toThrow(
      `file must be whole, got ${length - 4096} of ${length} bytes`,
    );
  });

  it('but an LMDB database of somebody else is refused', async () => {
    const path = join(await temporaryFolder(), 'other.lmdb');
    const other = open({ path, noSubdir: true });
    other.putSync('a', 1);
    await other.close();
    await expect(openPack(path)).rejects.toThrow('file must be a pack of ours, got another LMDB database at');
  });
});

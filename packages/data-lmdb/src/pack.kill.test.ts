import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { pack } from './pack.ts';
import { openParts } from './reader.ts';
import { folderSource } from './sources.ts';
import { startModule } from './testing/child.ts';
import { noisePng, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';

/** `npm run test:kill` takes the long form. */
const kills = process.env['STAR_KILL'] === 'full' ? 20 : 4;
/** A process takes seconds to start where the machine is busy. */
const timeout = 30_000 * kills;
const pictures = 60;
const options = { name: 'a', shardSize: 7 };

/** Pictures of noise, every ninth broken, every eleventh without a caption. */
async function writePictures(folder: string): Promise<void> {
  for (let i = 0; i < pictures; i++) {
    const name = `n${String(i).padStart(3, '0')}`;
    const picture = i % 9 === 4 ? 'no picture' : await noisePng(90 + i, 120, i);
    await writeFiles(folder, { [`${name}.png`]: picture, ...(i % 11 !== 5 && { [`${name}.txt`]: `noise ${i}` }) });
  }
}

interface Kill {
  /** Entries that are done when it comes. */
  at: number;
  /** Milliseconds from then on. */
  after: number;
}

/** Runs the packer in a process that is killed. Says whether it ended before, and which entry it began with. */
async function killedPacker(
  input: string,
  path: string,
  { at, after }: Kill,
): Promise<{ ended: boolean; resumed: number }> {
  const child = startModule(`
    import { folderSource, pack } from '@star-webgpu/data-lmdb';
    const onProgress = ({ done, resumed }) => console.log(done, resumed);
    await pack(await folderSource(${JSON.stringify(input)}), ${JSON.stringify(path)}, { ...${JSON.stringify(options)}, onProgress });`);
  const closed = once(child, 'close') as Promise<[number | null]>;
  let resumed = 0;
  for await (const line of createInterface(child.stdout)) {
    const [done, before] = line.split(' ').map(Number);
    resumed = before as number;
    if ((done as number) >= at) break;
  }
  await new Promise((resolve) => setTimeout(resolve, after));
  child.kill('SIGKILL');
  const [code] = await closed;
  return { ended: code === 0, resumed };
}

/** Everything that a pack holds, in the order of its files. */
async function contentsOf({ path }: { path: string }): Promise<unknown[]> {
  const { parts } = await openParts(path);
  const all = parts.flatMap(({ records, images }) =>
    [...records.getRange()].map(({ key, value }) => [key, value, images.getBinary(key)?.toString('base64')]),
  );
  for (const part of parts) await part.close();
  return all;
}

it(
  `a packer killed ${kills} times at random moments packs what an unbroken one does: no pair lost, none twice`,
  { timeout },
  async () => {
    const folder = await temporaryFolder();
    const [input, path] = [join(folder, 'in'), join(folder, 'a.lmdb')];
    await writePictures(input);
    const unbroken = await pack(await folderSource(input), join(folder, 'unbroken.lmdb'), options);
    const expected = await contentsOf(unbroken);
    let resumptions = 0;
    for (let killed = 0, done = 0; killed < kills;) {
      const at = Math.min(pictures, done + Math.ceil(Math.random() * 25));
      const { ended, resumed } = await killedPacker(input, path, { at, after: Math.random() * 8 });
      if (resumed > 0) resumptions += 1;
      if (ended) {
        // It was quicker than the kill: what it made must be whole, and the next one begins anew.
        expect(await contentsOf({ path })).toEqual(expected);
        done = 0;
      } else {
        killed += 1;
        done = at % pictures;
      }
    }
    const report = await pack(await folderSource(input), path, options);
    expect(report).toEqual({ ...unbroken, path });
    expect(await contentsOf(report)).toEqual(expected);
    expect(resumptions).toBeGreaterThan(0);
    const folders = (await readdir(folder)).filter((name) => name.includes('.parts-'));
    expect(folders.map((name) => name.split('.parts-')[0])).toEqual(['a.lmdb', 'unbroken.lmdb']);
  },
);

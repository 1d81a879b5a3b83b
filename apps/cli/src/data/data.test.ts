import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runStar } from '../testing/run-star.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-data-'));
  await mkdir(join(folder, 'in'));
  for (const [i, color] of ['red', 'green', 'blue'].entries()) {
    const svg = `<svg width="40" height="${30 + i}"><rect x="${9 * i}" y="3" width="11" height="17" fill="${color}"/><circle cx="${30 - 9 * i}" cy="21" r="8" fill="#444"/></svg>`;
    const picture = await sharp(Buffer.from(svg)).flatten({ background: 'white' }).png().toBuffer();
    await writeFile(join(folder, 'in', `${color}.png`), picture);
    await writeFile(join(folder, 'in', `${color}.txt`), `a ${color} shape & more <here>\nshape`);
    if (i === 0)
      await sharp(picture)
        .resize(80)
        .jpeg()
        .toFile(join(folder, 'in', 'again.jpg'));
  }
  await writeFile(join(folder, 'in', 'again.txt'), 'a red shape once more');
  const { code, stderr } = await runStar(['pack', 'in', '--out', 'a.lmdb'], folder);
  expect(code, stderr).toBe(0);
});
afterAll(() => rm(folder, { recursive: true }));

describe('star data', () => {
  it('stats prints numbers for people and for machines', async () => {
    const { stdout } = await runStar(['data', 'stats', 'a.lmdb'], folder);
    expect(stdout).toMatch(
      /^4 pictures, .* \(3 image\/png, 1 image\/jpeg\)\n7 captions, 1 of them of several pictures\n/,
    );
    expect(stdout).toMatch(/^width +40 +40 +40 +50 +80 +80$/m);
    const { stdout: json } = await runStar(['data', 'stats', 'a.lmdb', 'a.lmdb', '--json'], folder);
    expect(JSON.parse(json)).toMatchObject({ pictures: 8, captions: 14 });
  });

  it('verify names the pair that has changed, and fails then', async () => {
    const whole = await runStar(['data', 'verify', 'a.lmdb'], folder);
    expect([whole.code, whole.stdout]).toEqual([0, 'a.lmdb: 4 pictures, all as they were packed\n']);
    const bytes = await readFile(join(folder, 'a.lmdb'));
    const at = bytes.indexOf(await readFile(join(folder, 'in', 'blue.png'))) + 99;
    bytes[at] = bytes[at]! ^ 1;
    await writeFile(join(folder, 'b.lmdb'), bytes);
    const { code, stdout, stderr } = await runStar(['data', 'verify', 'b.lmdb'], folder);
    expect(code).toBe(1);
    expect(stdout).toContain('b.lmdb, blue: its bytes are not those that were packed\n');
    expect(stderr).toMatch(/^error: 1 faults: pack the data again, or take the packs from a copy\.$/m);
  });

  it('show draws a sheet and says what is on it', async () => {
    const args = ['data', 'show', 'a.lmdb', '--out', 'new/sheet.png', '--columns', '2', '--side', '50'];
    const { code, stdout, stderr } = await runStar(args, folder);
    expect(code, stderr).toBe(0);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^again {2}80 x \d+ {2}a red shape once more$/),
      'blue  40 x 32  a blue shape & more <here>',
      'green  40 x 31  a green shape & more <here>',
      'red  40 x 30  a red shape & more <here>',
      'new/sheet.png',
      '',
    ]);
    const { data, info } = await sharp(join(folder, 'new/sheet.png')).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([6 + 2 * 56, 6 + 2 * 102]);
    // Dark on the lines under the first picture: its caption.
    const dark = Array.from(
      { length: 50 * 40 },
      (_, i) => data[3 * ((60 + Math.floor(i / 50)) * info.width + 6 + (i % 50))]!,
    );
    expect(dark.filter((level) => level < 100).length).toBeGreaterThan(20);
    const one = await runStar(['data', 'show', 'a.lmdb', 'green', '--out', 'one.png', '--json'], folder);
    expect(JSON.parse(one.stdout)).toMatchObject({ file: 'one.png', pictures: [{ key: 'green' }] });
    const none = await runStar(['data', 'show', 'a.lmdb', 'grey', '--out', 'one.png'], folder);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('key must be in the pack, got grey')]);
  });

  it('duplicates lists what looks alike, and the keys to pack without', async () => {
    const args = ['data', 'duplicates', 'a.lmdb', '--distance', '6', '--out', 'twice.txt'];
    const { code, stdout, stderr } = await runStar(args, folder);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^again, red \(\d\)\n$/);
    expect(await readFile(join(folder, 'twice.txt'), 'utf8')).toBe('red\n');
    const packed = await runStar(['pack', 'in', '--out', 'once.lmdb', '--except-keys', 'twice.txt', '--json'], folder);
    expect(JSON.parse(packed.stdout)).toMatchObject({ packed: 3 });
  });
});

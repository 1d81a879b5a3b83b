import { createHash } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readFormat1 } from './lmdb-format1.ts';
import { pack } from './pack.ts';
import { unpickle } from './pickle.ts';
import { openPack } from './reader.ts';
import { sourceOf } from './source-of.ts';
import { plainPng, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';

const golden = (file: string): string => fileURLToPath(new URL(`../test/golden/${file}`, import.meta.url));
/** Six pairs, packed by the reference's packer. */
const PAIRS = golden('reference-pack.lmdb');
/** Made by LMDB 0.9.24's mdb_load: 120 keys of 344 characters make a tree of depth 3; three pictures have pages of their own. */
const DEEP = golden('format1-deep.lmdb');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('referencePackSource', () => {
  it('reads the six pairs of the published packer, pictures byte for byte as Python unpickles them', async () => {
    const path = join(await temporaryFolder(), 'six.lmdb');
    const report = await pack(await sourceOf(PAIRS), path);
    expect(report).toMatchObject({ packed: 6, refused: [] });
    const six = await openPack(path);
    onTestFinished(() => six.close());
    const pictures = six.keys().map((key) => {
      const { captions, width, height, image } = six.get(key);
      return [key, captions[0]!.slice(0, 20), `${width}x${height}`, sha256(image)];
    });
    // sha256 of pickle.loads(value), by Python 3.11
    expect(pictures).toEqual([
      ['demo-000000', 'a red square', '20x24', '28c94d4faa5bba34794cf76739e42506dac92708081a58ec66bf984228aba798'],
      ['demo-000001', 'two blue birds', '21x24', '6cc7a5f2451812392c4705949d1119d4de59e731a4c42f08aba3361b305e3e0c'],
      ['demo-000002', 'éclair au café', '22x24', '7ba1a85b2630b91436141c5855942541640d0f2dfa5cde06672f7b9a448efcd5'],
      ['demo-000003', '狗在草地上', '23x24', '2bb979b0f3f7894420b87b877338f334786f04ec57f5b250c578f0b16c857b4b'],
      ['demo-000004', 'a cat, sitting', '24x24', '9f4b64698cf10c992ed47ca8afae92c1795412ed3488cf7dbd9a8c235b719819'],
      ['demo-000005', 'x'.repeat(20), '25x24', '24e94a88b16e030407c34e63e8652758bbd3388afab5e09da3ffb8055690052a'],
    ]);
  });

  it('reads trees of depth 3 and values on pages of their own', async () => {
    const path = join(await temporaryFolder(), 'deep');
    await copyFile(DEEP, path);
    const keys = Array.from(
      { length: 120 },
      (_, i) => `${'a-data-set-with-a-long-name-'.repeat(12)}${String(i).padStart(6, '0')}`,
    );
    await writeFile(`${path}-info.json`, JSON.stringify(Object.fromEntries(keys.map((key) => [key, { prompt: key }]))));
    const { entries, refused } = await sourceOf(path);
    expect(refused).toEqual([]);
    expect(entries.map(({ key }) => key)).toEqual(keys);
    const bytes = await Promise.all(entries.map(({ read }) => read()));
    expect(Math.max(...bytes.map(({ length }) => length))).toBeGreaterThan(4096);
    // by the Python script that made the pictures
    expect(sha256(Buffer.concat(bytes))).toBe('d712850725d92f219615961eff7d988f62c63518b73edee11060908588c58688');
  });

  it('takes captions of -prompt.json before those of the records, and names keys that have no counterpart', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'demo-abcdef');
    await copyFile(PAIRS, path);
    const records = JSON.parse(await readFile(`${PAIRS}-info.json`, 'utf8')) as Record<string, object>;
    delete records['demo-000003'];
    records['demo-000000'] = { ...records['demo-000000'], gpt_caption: 'a square that is red' };
    records['demo-000009'] = { prompt: 'lost' };
    await writeFiles(folder, {
      'demo-abcdef-info.json': JSON.stringify(records),
      'demo-abcdef-prompt.json': JSON.stringify({
        'demo-000001': { florence_en: 'two birds', gpt_caption: 'birds' },
        'demo-000002': 'a cake',
      }),
    });
    const { entries, refused } = await sourceOf(folder);
    expect(entries.slice(0, 3).map(({ captions }) => captions)).toEqual([
      ['a red square', 'a square that is red'],
      ['two birds', 'birds'],
      ['a cake'],
    ]);
    expect(refused).toEqual([
      { file: `${path}#demo-000009`, reason: 'no such key in the file' },
      { file: `${path}#demo-000003`, reason: 'no record in demo-abcdef-info.json' },
    ]);
  });

  it('without its records is refused by name', async () => {
    const path = join(await temporaryFolder(), 'alone');
    await copyFile(PAIRS, path);
    await expect(sourceOf(path)).rejects.toThrow(
      `pack: a reference pack must have its records beside it, got none at ${path}-info.json. Copy the file there.`,
    );
  });

  it('damaged anywhere gives an error or other bytes, and ends in any case: 2,000 mutations', async () => {
    const whole = await readFile(DEEP);
    const path = join(await temporaryFolder(), 'damaged');
    let state = 1;
    const random = (below: number): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below;
    let refused = 0;
    for (let i = 0; i < 2000; i++) {
      const bytes = Buffer.from(i % 4 === 0 ? whole.subarray(0, random(whole.length)) : whole);
      for (let k = 0; k < 8 && bytes.length > 0; k++)
        bytes[random(k % 2 ? bytes.length : Math.min(bytes.length, 4096 * 9))] = random(256);
      await writeFile(path, bytes);
      const entries = await readFormat1(path).catch((error: Error) => {
        expect(error.message).toMatch(
          /^pack: source must be a whole LMDB file of data format 1 with one database, got /,
        );
        refused++;
        return [];
      });
      for (const { value } of entries) expect(value.offset + value.length).toBeLessThanOrEqual(bytes.length);
    }
    expect(refused).toBeGreaterThan(500);
  });
});

describe('unpickle', () => {
  const bytes = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

  it.each([
    ['a short text', '80048c0568c3a97879942e', 'héxy'],
    ['a text of protocol 2', '80025803000000616263710' + '02e', 'abc'],
    ['a text of protocol 4 in a frame', '80049507000000000000008c03616263942e', 'abc'],
    ['no characters', '80048c00942e', ''],
  ])('reads %s', (_, hex, text) => {
    expect(unpickle(bytes(hex))).toBe(text);
  });

  it.each([
    ['short bytes', '80044303010203942e'],
    ['bytes of protocol 3', '8003420300000001020371002e'],
    ['bytes with a length of 8 bytes', '80048e0300000000000000010203942e'],
  ])('reads %s', (_, hex) => {
    expect([...(unpickle(bytes(hex)) as Uint8Array)]).toEqual([1, 2, 3]);
  });

  it.each([
    ['a call of os.system', '80048c026f73948c0673797374656d9493', '0x8c at byte 7'],
    ['a global of protocol 0', '636f730a73797374656d0a', '0x63 at byte 0'],
    ['None', '80044e2e', '0x4e at byte 2'],
    ['a list of texts', '80045d948c016194612e', '0x5d at byte 2'],
    ['a text behind a text', '80048c0161948c01622e', '0x8c at byte 6'],
    ['nothing', '80042e', '0x2e at byte 2'],
  ])('refuses %s by its opcode', (_, hex, opcode) => {
    expect(() => unpickle(bytes(hex))).toThrow(`a pickle of more than one text or bytes object: opcode ${opcode}`);
  });

  it.each(['', '80', '80048c', '80048c0561', '80045805', '80048effffffffffffffff00', '80048c0161'])(
    'refuses %j, which is cut short',
    (hex) => {
      expect(() => unpickle(bytes(hex))).toThrow(`a pickle of ${hex.length / 2} bytes that is cut short`);
    },
  );
});

describe('referenceFolderSource', () => {
  it('reads images/ with the records of jsons/, and names what has no counterpart', async () => {
    const folder = await temporaryFolder();
    const png = await plainPng(3, 2, [1, 2, 3]);
    await writeFiles(folder, {
      'images/000000.png': png,
      'images/cat.jpg': png,
      'images/none.png': png,
      'images/silent.png': png,
      'jsons/000000.json': JSON.stringify({ id: '000000', basename: '000000.png', prompt: 'one', florence_en: 'uno' }),
      'jsons/cat.json': JSON.stringify({ prompt: 'a cat' }),
      'jsons/gone.json': JSON.stringify({ basename: 'gone.png', prompt: 'gone' }),
      'jsons/silent.json': JSON.stringify({ id: 3 }),
      'jsons/broken.json': '{',
    });
    const { entries, refused } = await sourceOf(folder);
    expect(entries.map(({ key, captions }) => [key, captions])).toEqual([
      ['000000', ['one', 'uno']],
      ['cat', ['a cat']],
      ['silent', []],
    ]);
    expect(entries[2]!.captionFault).toBe('no caption in jsons/silent.json');
    expect(Buffer.from(await entries[1]!.read())).toEqual(png);
    expect(refused).toEqual([
      { file: 'jsons/broken.json', reason: 'not JSON' },
      { file: 'jsons/gone.json', reason: 'no picture gone.png' },
      { file: 'images/none.png', reason: 'no record in jsons/' },
    ]);
  });
});

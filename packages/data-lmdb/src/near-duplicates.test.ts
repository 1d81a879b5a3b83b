import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished } from 'vitest';
import { emojiSource } from './emoji.ts';
import { bitDistance, fingerprintOf } from './fingerprint.ts';
import { nearDuplicates } from './near-duplicates.ts';
import { openPack, type Pack } from './reader.ts';
import { plainPng } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';
import { createPack } from './writer.ts';

async function packOf(pictures: Readonly<Record<string, Uint8Array>>): Promise<Pack> {
  const path = join(await temporaryFolder(), 'a.lmdb');
  const writer = await createPack(path);
  for (const [key, image] of Object.entries(pictures)) {
    const { width, height, format } = await sharp(image).metadata();
    writer.put(key, { captions: [key], width, height, mime: `image/${format}`, source: key, labels: {} }, image);
  }
  await writer.commit();
  const pack = await openPack(path);
  onTestFinished(() => pack.close());
  return pack;
}

/** Pictures of food: no two of these look alike. */
async function food(): Promise<[string, Uint8Array][]> {
  const { entries } = await emojiSource({ distinct: true });
  const chosen = entries.filter(({ labels }) => labels?.['group'] === 'Food & Drink').slice(0, 40);
  return await Promise.all(chosen.map(async ({ key, read }): Promise<[string, Uint8Array]> => [key, await read()]));
}

describe('nearDuplicates', () => {
  it('finds pictures that were resized and encoded anew, whatever the format, and takes no others for them', async () => {
    const originals = await food();
    const pictures: Record<string, Uint8Array> = Object.fromEntries(originals);
    for (const [i, [key, bytes]] of originals.entries()) {
      const white = sharp(bytes).flatten({ background: 'white' });
      const [small, other] = [white.clone().resize(90 + i), white.clone().resize(64, 64, { kernel: 'cubic' })];
      pictures[`${key} jpeg`] = await small.jpeg({ quality: 50 }).toBuffer();
      if (i % 2) pictures[`${key} webp`] = await other.webp({ quality: 60 }).toBuffer();
    }
    const groups = await nearDuplicates([await packOf(pictures)]);
    for (const group of groups) {
      const first = group[0]!.key;
      expect(pictures[first]).toBe(Object.fromEntries(originals)[first]);
      expect(group.slice(1).every(({ key }) => key.startsWith(`${first} `))).toBe(true);
    }
    // A few lie farther apart than the bits allow.
    const found = groups.reduce((sum, group) => sum + group.length - 1, 0);
    expect(found / (40 + 20)).toBeGreaterThan(0.93);
  });

  it('tells what differs in colour alone, knows what has no detail, and looks over several packs', async () => {
    const disc = (color: string): Promise<Buffer> =>
      sharp(Buffer.from(`<svg width="60" height="60"><circle cx="30" cy="30" r="20" fill="${color}"/></svg>`))
        .png()
        .toBuffer();
    const grey = await plainPng(50, 40, [90, 91, 92]);
    const [one, other] = [
      await packOf({ red: await disc('#f00'), grey, white: await plainPng(9, 9, [255, 255, 255]) }),
      await packOf({ purple: await disc('#8000b8'), 'grey again': await sharp(grey).resize(30).jpeg().toBuffer() }),
    ];
    const groups = await nearDuplicates([one, other], { distance: 0 });
    expect(groups).toEqual([
      [
        { pack: one.path, key: 'grey', distance: 0 },
        { pack: other.path, key: 'grey again', distance: 0 },
      ],
    ]);
  });

  it('counts bits over both words', async () => {
    const [[, bytes]] = (await food()) as [[string, Uint8Array]];
    const print = await fingerprintOf(bytes);
    const [low, high] = print.bits;
    const turned = { ...print, bits: [low ^ 0x80000001, high ^ 0x40000000] as const };
    expect(bitDistance(print, turned)).toBe(3);
    expect(bitDistance(print, { ...print, bits: [~low >>> 0, ~high >>> 0] })).toBe(64);
  });

  it('refuses a distance that is none', async () => {
    await expect(nearDuplicates([], { distance: 16 })).rejects.toThrow(
      'nearDuplicates: distance must be a whole number from 0 to 15, got 16. Choose another.',
    );
  });
});

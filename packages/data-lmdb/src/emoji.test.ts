import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emojiSource } from './emoji.ts';
import { pack } from './pack.ts';
import { openPack } from './reader.ts';
import { temporaryFolder } from './testing/temporary.ts';
import { toSquare } from './transform.ts';

const wordsOf = (caption: string): string => caption.toLowerCase().replaceAll(/\W+/g, ' ').trim();
const sorted = (caption: string): string => wordsOf(caption).split(' ').toSorted().join(' ');
const unicodeWords = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

describe('emojiSource', () => {
  it('has all 3,391 pictures, each with captions of its own key', async () => {
    const { entries, refused } = await emojiSource();
    expect([entries.length, refused.length]).toEqual([3391, 0]);
    expect(new Set(entries.map(({ key }) => key)).size).toBe(3391);
    expect(entries.filter(({ captions }) => captions.length < 3)).toEqual([]);
  });

  it.each([
    [
      '1f34e',
      ['red apple', 'food & drink: red apple', 'red apple, diet, food, fruit', 'apple diet food fruit health red'],
    ],
    [
      '1f1e9-1f1ea',
      [
        'flag Germany',
        'flags: flag Germany',
        'flag Germany, DE',
        'DE flag',
        'de',
        'flag de',
        'germany',
        'Germany flag',
      ],
    ],
    [
      '1f44b-1f3fe',
      [
        'waving hand, medium-dark skin tone',
        'people & body: waving hand, medium-dark skin tone',
        'waving hand, medium-dark skin tone, bye, cya, g2g',
        'bye cya g2g greetings gtg hand, medium-dark skin tone',
        'wave, medium-dark skin tone',
        'hand waving, medium-dark skin tone',
      ],
    ],
  ])('%s is captioned by name, group, keywords, short names and another order', async (key, captions) => {
    const { entries } = await emojiSource();
    expect(entries.find((entry) => entry.key === key)?.captions).toEqual(captions);
  });

  it('keeps a synonym and an order of words of every second picture back from training', async () => {
    const taught = await emojiSource({ distinct: true });
    const captions = new Map(taught.entries.map((entry) => [entry.key, entry.captions.map(wordsOf)]));
    for (const kind of ['word-order', 'synonym'] as const) {
      const { entries } = await emojiSource({ distinct: true, captions: kind });
      expect(entries.length).toBeGreaterThan(400);
      expect(entries.length).toBeLessThan(1598 / 2);
      expect(entries.filter((entry) => entry.captions.length !== 1)).toEqual([]);
      expect(entries.filter(({ key, captions: [one] }) => captions.get(key)!.includes(wordsOf(one!)))).toEqual([]);
      const names = new Map(entries.map(({ key, labels }) => [key, sorted(labels!['name']!)]));
      const ofName = entries.filter(({ key, captions: [one] }) => names.get(key) === sorted(one!));
      expect(ofName.length === entries.length).toBe(kind === 'word-order');
    }
  });

  it('adds phrases that only the words of one picture hold, and none with the words of a caption that is kept back', async () => {
    const kinds = await Promise.all(
      (['taught', 'phrases', 'word-order', 'synonym'] as const).map(async (captions) => {
        const { entries } = await emojiSource({ distinct: true, captions });
        return new Map(entries.map((entry) => [entry.key, entry.captions]));
      }),
    );
    const [taught, withPhrases, ...keptBack] = kinds as [Map<string, string[]>, ...Map<string, string[]>[]];
    const withoutGroup = (captions: readonly string[]): string[] => captions.toSpliced(1, 1);
    const said = new Map([...taught].map(([key, all]) => [key, new Set(withoutGroup(all).flatMap(unicodeWords))]));
    const hidden = (key: string): string[] => keptBack.flatMap((kind) => (kind.get(key) ?? []).map(sorted));
    expect([...withPhrases!.keys()]).toEqual([...taught.keys()]);
    const phrases = [...withPhrases!].flatMap(([key, captions]) => {
      const own = taught.get(key)!;
      expect(captions.slice(0, own.length)).toEqual(own);
      return captions.slice(own.length).map((phrase) => ({ key, phrase, words: unicodeWords(phrase) }));
    });
    expect(phrases.length).toBeGreaterThan(20 * taught.size);
    expect(phrases.filter(({ key, phrase }) => hidden(key).includes(sorted(phrase)))).toEqual([]);
    for (const { key, words } of phrases.filter((_, i) => i % 500 === 0)) {
      expect(words.length).toBeLessThan(4);
      const others = [...said].filter(([other, known]) => other !== key && words.every((word) => known.has(word)));
      expect(others, `${key} ${words.join(' ')}`).toEqual([]);
    }
    const { entries } = await emojiSource({ distinct: true, captions: 'words' });
    const single = phrases.filter(({ words }) => words.length === 1);
    const packed = entries.flatMap(({ key, captions }) => captions.map((phrase) => ({ key, phrase })));
    expect(packed).toEqual(expect.arrayContaining(single.map(({ key, phrase }) => ({ key, phrase }))));
    expect(packed.filter(({ phrase }) => unicodeWords(phrase).length !== 1)).toEqual([]);
    expect(packed.filter(({ key, phrase }) => hidden(key).includes(sorted(phrase)))).toEqual([]);
  });

  it('skin tones and flags are labelled, text style and tag flags found too', async () => {
    const { entries } = await emojiSource();
    const labels = new Map(entries.map((entry) => [entry.key, entry.labels]));
    expect(labels.get('1f44b-1f3fe')).toMatchObject({ name: 'waving hand', tone: 'medium-dark skin tone' });
    expect(labels.get('1f1e9-1f1ea')).toMatchObject({ group: 'Flags' });
    expect(labels.get('1f3f4-e0067_e0062_e0073_e0063_e0074')).toMatchObject({ name: 'flag Scotland' });
    expect(labels.get('2764-fe0f')).toMatchObject({ name: 'red heart' });
  });

  it('distinct leaves out skin tones, flags and pictures that are there twice', async () => {
    const { entries } = await emojiSource({ distinct: true });
    expect(entries).toHaveLength(1598);
    expect(entries.filter(({ labels }) => labels?.['tone'] !== undefined || labels?.['group'] === 'Flags')).toEqual([]);
    expect(new Set(entries.map(({ captions }) => captions[0])).size).toBe(1598);
  });

  it('its pictures are packed as they are and load on white', async () => {
    const source = await emojiSource({ distinct: true });
    const path = join(await temporaryFolder(), 'emoji.lmdb');
    const entries = source.entries.filter(({ labels }) => labels?.['name']?.endsWith(' apple'));
    await pack({ ...source, entries }, path);
    const reader = await openPack(path);
    expect(reader.keys()).toEqual(['1f34e', '1f34f']);
    const apple = reader.get('1f34e');
    expect(apple).toMatchObject({ width: 256, height: 256, mime: 'image/webp' });
    const pixels = await toSquare(apple.image, 65);
    const middle = (32 * 65 + 32) * 3;
    expect([...pixels.subarray(0, 3)]).toEqual([255, 255, 255]);
    expect(pixels[middle] as number).toBeGreaterThan(2 * (pixels[middle + 1] as number));
    await reader.close();
  });
});

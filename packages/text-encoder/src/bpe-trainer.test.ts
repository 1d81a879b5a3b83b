import { describe, expect, it } from 'vitest';
import { trainBpe } from './bpe-trainer.ts';
import { byteCharacters } from './clip-format.ts';
import { Tokenizer, type TokenizerJson } from './tokenizer.ts';

const captions = [
  'red apple',
  'food & drink: red apple',
  'red apple, diet, food, fruit',
  'green apple',
  'food & drink: green apple, fruit, diet',
  'grinning face with big eyes',
  'smiling face with sunglasses',
  "the cat's face, smiling: don't look",
  'keycap: 1024, number 77',
  'piñata, piñata party 🎉',
  'flag: 日本 日本 日本',
];

interface Bpe {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly string[];
}
const bpeOf = (json: TokenizerJson): Bpe => json['model'] as Bpe;

/** BPE as its definition says: join the pair of the earliest merge, everywhere, until none is left. */
function referenceEncode(text: string, { vocab, merges }: Bpe): number[] {
  const characters = byteCharacters();
  const normal = text.normalize('NFC').replace(/\s+/g, ' ').toLowerCase();
  const words = normal.match(/'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu) ?? [];
  return words.flatMap((word) => {
    const bytes = [...new TextEncoder().encode(word)];
    let pieces = bytes.map((byte, i) => characters[byte]! + (i === bytes.length - 1 ? '</w>' : ''));
    for (const merge of merges) pieces = joinEverywhere(pieces, merge.split(' ') as [string, string]);
    return pieces.map((piece) => vocab[piece]!);
  });
}

function joinEverywhere(pieces: readonly string[], [left, right]: readonly [string, string]): string[] {
  const at = pieces.findIndex((piece, i) => piece === left && pieces[i + 1] === right);
  if (at < 0) return [...pieces];
  return [...pieces.slice(0, at), left + right, ...joinEverywhere(pieces.slice(at + 2), [left, right])];
}

describe('trainBpe', () => {
  const json = trainBpe(captions, { vocabSize: 560 });
  const tokenizer = new Tokenizer(JSON.parse(JSON.stringify(json)) as TokenizerJson);

  it.each([
    ...captions,
    'unseen words: xylophone quartz',
    'RED  Apple\n\t',
    'emoji 🍎👨‍👩‍👧🏽 and 红苹果',
    'e\u0301clair, ﬁne ½ ١٢',
    '\ud800 lone',
    '__proto__ constructor </w>',
  ])('is loaded by the library, which tokenises as the definition says: %j', (text) => {
    const ids = tokenizer.encode(text);
    expect(ids.slice(1, -1)).toEqual(referenceEncode(text, bpeOf(json)));
    expect(ids.at(0)).toBe(tokenizer.endId - 1);
    expect(ids.at(-1)).toBe(tokenizer.endId);
  });

  it('joins frequent words to one token, and keeps text readable', () => {
    expect(tokenizer.encode('apple')).toHaveLength(3);
    expect(tokenizer.decode(tokenizer.encode('Red apple 🍎 日本')).trim()).toBe('red apple 🍎 日本');
  });

  it('gives the same file for the same captions in any order', () => {
    expect(JSON.stringify(trainBpe([...captions].reverse(), { vocabSize: 560 }))).toBe(JSON.stringify(json));
  });

  it('joins the most frequent pair first, the lowest ids on a tie', () => {
    const { merges } = bpeOf(trainBpe(['ab ab ab', 'cd', 'cd', 'ef ef'], { vocabSize: 516 }));
    expect(merges).toEqual(['a b</w>', 'c d</w>']);
  });

  it('stops at the vocabulary size, or where no pair is seen twice', () => {
    expect(Object.keys(bpeOf(json).vocab)).toHaveLength(560);
    expect(tokenizer.vocabSize).toBe(560);
    expect(bpeOf(trainBpe(['ab ab', 'cd'], { vocabSize: 2000 })).merges).toEqual(['a b</w>']);
    expect(bpeOf(trainBpe(['ab ab', 'cd'], { vocabSize: 2000, minFrequency: 1 })).merges).toEqual([
      'a b</w>',
      'c d</w>',
    ]);
  });

  it('serves any text without a single caption', () => {
    const bare = new Tokenizer(trainBpe([], { vocabSize: 514 }));
    expect(bare.encode('é')).toEqual([512, 0xc3, 256 + 0xa9, 513]);
  });

  it('refuses a vocabulary without room for the bytes', () => {
    expect(() => trainBpe(captions, { vocabSize: 513 })).toThrow(
      'trainBpe: vocabSize must be an integer of at least 514, got 513. Raise it.',
    );
  });
});

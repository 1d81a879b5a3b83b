import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { trainBpe } from './bpe-trainer.ts';
import { Tokenizer } from './tokenizer.ts';
import { wordTokens } from './word-tokens.ts';

const t5Json = readFileSync(new URL('../test/golden/t5-tokenizer/tokenizer.json', import.meta.url), 'utf8');
const bpe = new Tokenizer(trainBpe(['red apple', 'red apple', 'green apple', 'green apple'], { vocabSize: 530 }));
const t5 = new Tokenizer(JSON.parse(t5Json) as Record<string, unknown>);

const idsOf = (tokenizer: Tokenizer, prompt: string, length = 40): number[] => [
  ...tokenizer.encodeBatch([prompt], length).ids,
];

/** The text that a word's tokens spell. */
function spelt(tokenizer: Tokenizer, prompt: string, word: string): string {
  const ids = idsOf(tokenizer, prompt);
  return tokenizer.decode(wordTokens(tokenizer, ids, word).map((at) => ids[at]!));
}

describe('wordTokens', () => {
  it('finds a word behind the start token, wherever and as often as it stands', () => {
    expect(wordTokens(bpe, idsOf(bpe, 'red apple'), 'apple')).toEqual([2]);
    expect(wordTokens(bpe, idsOf(bpe, 'apple red apple'), 'apple')).toEqual([1, 3]);
    expect(wordTokens(bpe, idsOf(bpe, 'red apple'), 'Red  APPLE')).toEqual([1, 2]);
  });

  it.each([
    ['a BPE tokenizer', bpe, 'a smiling face, with heart-eyes 🍎 x', 'smiling', 'smiling'],
    ['a BPE tokenizer', bpe, 'a smiling face, with heart-eyes 🍎 x', 'heart-eyes', 'heart - eyes'],
    ['a BPE tokenizer', bpe, 'a smiling face, with heart-eyes 🍎 x', '🍎', '🍎'],
    ['a BPE tokenizer', bpe, '我的红苹果', '苹果', '苹果'],
    ['a T5 tokenizer', t5, 'A red apple, with heart-eyes', 'apple', 'apple'],
    ['a T5 tokenizer', t5, 'A red apple, with heart-eyes', 'heart-eyes', 'heart-eyes'],
  ])('gives every piece of a word: %s, %s, %s', (_, tokenizer, prompt, word, want) => {
    expect(spelt(tokenizer, prompt, word).trim()).toBe(want);
  });

  it.each(['pear', 'app', 'ple', '', ' '])('finds nothing for what is no word of the prompt: "%s"', (word) => {
    expect(wordTokens(bpe, idsOf(bpe, 'red apple'), word)).toEqual([]);
    expect(wordTokens(t5, idsOf(t5, 'red apple'), word)).toEqual([]);
  });

  it('finds nothing where the prompt was cut before the word, or is empty', () => {
    expect(wordTokens(bpe, idsOf(bpe, 'green red apple', 4), 'apple')).toEqual([]);
    expect(wordTokens(bpe, idsOf(bpe, ''), 'apple')).toEqual([]);
    expect(wordTokens(bpe, [], 'apple')).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { trainBpe } from './bpe-trainer.ts';
import { Tokenizer } from './tokenizer.ts';

const json = trainBpe(['red apple', 'red apple', 'green apple', 'green apple'], { vocabSize: 530 });
const tokenizer = new Tokenizer(json);
const [start, end] = [tokenizer.endId - 1, tokenizer.endId];

describe('encodeBatch', () => {
  it('pads to the length behind the end token', () => {
    const { ids, mask, truncated, cut } = tokenizer.encodeBatch(['red', ''], 6);
    const red = tokenizer.encode('red');
    expect(red.length).toBe(3);
    expect([...ids]).toEqual([...red, end, end, end, start, end, end, end, end, end]);
    expect([...mask]).toEqual([1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0]);
    expect([truncated, cut]).toEqual([
      [false, false],
      ['', ''],
    ]);
  });

  it('cuts a long prompt, says so, and keeps the end token', () => {
    const { ids, mask, truncated } = tokenizer.encodeBatch(['green apple '.repeat(1000), 'red'], 5);
    expect(Array.from(ids.subarray(0, 5))).toEqual([...tokenizer.encode('green apple green apple').slice(0, 4), end]);
    expect(Array.from(mask.subarray(0, 5))).toEqual([1, 1, 1, 1, 1]);
    expect(truncated).toEqual([true, false]);
  });

  it('tells which words were cut', () => {
    expect(tokenizer.encodeBatch(['green apple red apple green', 'red'], 4).cut).toEqual(['red apple green', '']);
  });

  it('takes a prompt of just the length whole', () => {
    const length = tokenizer.encode('red apple').length;
    expect(tokenizer.encodeBatch(['red apple'], length).truncated).toEqual([false]);
  });

  it.each([
    ['nothing', ''],
    ['only spaces', ' \n\t '],
    ['an emoji', '🍎'],
    ['emoji of several parts', '👩🏽‍🚀🏳️‍🌈'],
    ['Chinese', '红苹果'],
    ['a zero, a noncharacter and half a pair', '\u0000\uffff\ud800'],
    ['a word of 100,000 letters', 'a'.repeat(100_000)],
    ['quotes, slashes and a special token', '"\\/<|endoftext|>'],
  ])('takes any text: %s', (_, prompt) => {
    const { ids, mask } = tokenizer.encodeBatch([prompt], 9);
    expect(ids.every((id) => id < tokenizer.vocabSize)).toBe(true);
    expect(ids[mask.lastIndexOf(1)]).toBe(end);
    expect(ids[0]).toBe(start);
  });

  it('gives nothing for no prompts', () => {
    expect(tokenizer.encodeBatch([], 4)).toEqual({
      ids: new Uint32Array(),
      mask: new Uint32Array(),
      truncated: [],
      cut: [],
    });
  });

  it('refuses a length that cannot hold start and end', () => {
    expect(() => tokenizer.encodeBatch(['red'], 1)).toThrow(
      "encodeBatch: length must be an integer of at least 2, got 1. Use the model's positions.",
    );
  });
});

describe('Tokenizer', () => {
  it('pads with a given id, and its file keeps it', () => {
    const padded = new Tokenizer(json, { padId: 7 });
    expect(padded.encodeBatch([''], 3).ids.at(-1)).toBe(7);
    expect(new Tokenizer(padded.json).padId).toBe(7);
  });

  it('refuses what is no tokenizer.json, adds no end token, or lacks the padding', () => {
    expect(() => new Tokenizer({ model: {} })).toThrow(/^Tokenizer: json must be a tokenizer.json, got a file/);
    expect(() => new Tokenizer({ ...json, post_processor: null })).toThrow(
      'Tokenizer: json must add an end token to every prompt',
    );
    expect(() => new Tokenizer(json, { padId: 530 })).toThrow(
      'Tokenizer: padId must be an id of the vocabulary, got 530. Use one below 523.',
    );
  });

  it('decodes ids to text without special tokens', () => {
    expect(tokenizer.decode([start, ...tokenizer.encode('red apple').slice(1), end, end])).toBe('red apple');
    expect(tokenizer.decode([])).toBe('');
  });
});

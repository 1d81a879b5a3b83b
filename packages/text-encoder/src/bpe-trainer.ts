import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { byteTokens, clipTokenizerJson, specialTokens, wordEnd } from './clip-format.ts';
import { TextError } from './errors.ts';
import type { TokenizerJson } from './tokenizer.ts';

/** How large a vocabulary `trainBpe` learns. */
export interface TrainBpeOptions {
  /** Most tokens in all: 512 for bytes, 2 special ones, the rest is learnt. */
  readonly vocabSize: number;
  /** Pairs seen less often are not joined; 2 by default. */
  readonly minFrequency?: number;
}

/**
 * Learns a byte-level BPE vocabulary with CLIP's words from a list of captions (Sennrich et al., 2016).
 * The result is a standard tokenizer.json in which no text is unknown; it depends on nothing but the captions as a set with counts.
 * @throws TextError if vocabSize leaves no room for the bytes.
 */
export function trainBpe(captions: Iterable<string>, { vocabSize, minFrequency = 2 }: TrainBpeOptions): TokenizerJson {
  const bytes = byteTokens();
  const least = bytes.length + specialTokens;
  if (!Number.isInteger(vocabSize) || vocabSize < least)
    throw new TextError('trainBpe', `vocabSize must be an integer of at least ${least}, got ${vocabSize}. Raise it.`);
  const words = splitWords(captions, clipTokenizerJson({ tokens: bytes, merges: [] }), bytes);
  return clipTokenizerJson(learnMerges(words, bytes, { limit: vocabSize - specialTokens, minFrequency }));
}

/** A distinct word of the captions: its pieces by id, and how often it was seen. */
interface Word {
  pieces: readonly number[];
  readonly count: number;
}

/** Distinct words, split by the very pipeline that will serve the prompts. */
function splitWords(captions: Iterable<string>, pipeline: TokenizerJson, tokens: readonly string[]): Word[] {
  const { normalizer, pre_tokenizer: splitter } = new HuggingFaceTokenizer(pipeline, {});
  const counts = new Map<string, number>();
  for (const caption of captions)
    for (const word of splitter!.pre_tokenize(normalizer!.normalize(caption)))
      counts.set(word, (counts.get(word) ?? 0) + 1);
  const ids = new Map(tokens.map((token, id) => [token, id]));
  return [...counts].map(([word, count]) => ({ pieces: bytePieces(word, ids), count }));
}

function bytePieces(word: string, ids: ReadonlyMap<string, number>): number[] {
  const characters = Array.from(word);
  return characters.map((one, i) => ids.get(i === characters.length - 1 ? one + wordEnd : one)!);
}

interface Learnt {
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

/** Joins the most frequent pair again and again. */
function learnMerges(
  words: readonly Word[],
  bytes: readonly string[],
  { limit, minFrequency }: { readonly limit: number; readonly minFrequency: number },
): Learnt {
  const tokens = [...bytes];
  const ids = new Map(bytes.map((token, id) => [token, id]));
  const merges = new Map<number, readonly [string, string]>();
  const pairs = new PairTable(words);
  while (tokens.length < limit) {
    const pair = pairs.mostFrequent(minFrequency);
    if (pair === undefined) break;
    const [left, right] = halves(pair).map((id) => tokens[id]!) as [string, string];
    const joined = left + right;
    if (!ids.has(joined)) ids.set(joined, tokens.push(joined) - 1);
    if (!merges.has(pair)) merges.set(pair, [left, right]);
    pairs.join(pair, ids.get(joined)!);
  }
  return { tokens, merges: [...merges.values()] };
}

/** A pair of ids as one number. */
const base = 2 ** 26;
const pairOf = (left: number, right: number): number => left * base + right;
const halves = (pair: number): [number, number] => [Math.floor(pair / base), pair % base];

/** How often each pair of neighbours occurs, and in which words. */
class PairTable {
  private readonly counts = new Map<number, number>();
  private readonly places = new Map<number, Set<Word>>();

  constructor(words: readonly Word[]) {
    for (const word of words) this.count(word, 1);
  }

  /** The pair of the highest count, that of the lowest ids on a tie. */
  mostFrequent(least: number): number | undefined {
    let [best, most]: [number | undefined, number] = [undefined, 0];
    for (const [pair, count] of this.counts)
      if (count >= least && (count > most || (count === most && pair < best!))) [best, most] = [pair, count];
    return best;
  }

  /** Replaces the pair by one id wherever it stands. */
  join(pair: number, id: number): void {
    for (const word of this.places.get(pair) ?? []) {
      this.count(word, -1);
      word.pieces = joinPieces(word.pieces, halves(pair), id);
      this.count(word, 1);
    }
    this.places.delete(pair);
  }

  /** Adds the pairs of a word, or takes them back; a place may outlive its pair, for joining there changes nothing. */
  private count(word: Word, sign: 1 | -1): void {
    for (let i = 1; i < word.pieces.length; i++) {
      const pair = pairOf(word.pieces[i - 1]!, word.pieces[i]!);
      const total = (this.counts.get(pair) ?? 0) + sign * word.count;
      if (total > 0) this.counts.set(pair, total);
      else this.counts.delete(pair);
      if (sign > 0) this.place(pair).add(word);
    }
  }

  private place(pair: number): Set<Word> {
    const words = this.places.get(pair) ?? new Set();
    this.places.set(pair, words);
    return words;
  }
}

function joinPieces(pieces: readonly number[], [left, right]: readonly [number, number], id: number): number[] {
  const joined: number[] = [];
  for (let i = 0; i < pieces.length; i++) {
    const hit = pieces[i] === left && pieces[i + 1] === right;
    joined.push(hit ? id : pieces[i]!);
    if (hit) i++;
  }
  return joined;
}

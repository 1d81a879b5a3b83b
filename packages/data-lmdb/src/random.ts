const GOLDEN = 0x9e3779b9;
const FEISTEL_ROUNDS = 6;

/**
 * 32 random-looking bits that depend on every word and their order: a counter-based generator.
 * Each word is mixed in by the finalizer of MurmurHash3 (Appleby 2011).
 */
export function hashWords(...words: readonly number[]): number {
  let hash = GOLDEN;
  for (const word of words) hash = finalize((Math.imul(hash, 5) + word + GOLDEN) | 0);
  return hash >>> 0;
}

/** 32 bits of a string, by FNV-1a over its UTF-16 units. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The two 32-bit words of a seed, an integer from 0 to 2^53 - 1. */
export function seedWords(seed: number): [number, number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/**
 * The place of `position` in a pseudo-random permutation of 0..count-1 chosen by the words of `key`.
 * A balanced Feistel network on the next even power of two, walked until it lands inside (Black and Rogaway 2002):
 * any position is found without the ones before it and without a table.
 */
export function permute(position: number, count: number, key: readonly number[]): number {
  const halfBits = Math.max(1, Math.ceil(Math.log2(count) / 2));
  let place = position;
  do place = feistel(place, halfBits, key);
  while (place >= count);
  return place;
}

function feistel(value: number, halfBits: number, key: readonly number[]): number {
  const base = 2 ** halfBits;
  let left = Math.floor(value / base);
  let right = value % base;
  for (let round = 0; round < FEISTEL_ROUNDS; round++) {
    [left, right] = [right, (left ^ hashWords(...key, round, right)) & (base - 1)];
  }
  return left * base + right;
}

function finalize(word: number): number {
  let hash = word ^ (word >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

import { createHash } from 'node:crypto';

/**
 * Captions of a picture that training sees, these and phrases that tell it from all others, single words that do,
 * another order of its name's words, or another name; the last two are kept back from training.
 */
export type EmojiCaptions = 'taught' | 'phrases' | 'words' | 'word-order' | 'synonym';

/** What is said of one emoji, and where. */
export interface EmojiWords {
  /** Decides, by its hash, whether something is kept back from training, and which. */
  readonly key: string;
  readonly name: string;
  readonly group: string;
  readonly tone: string;
  readonly keywords: readonly string[];
  /** What people type between colons, as words. */
  readonly shortNames: readonly string[];
}

/** Keywords beyond these grow vague. */
const MAX_KEYWORDS = 6;

/**
 * Captions of one kind. Taught are the name, the name with its group, the name with keywords, the keywords, the short
 * names, and the name's words in another order; but for every second picture that order, and one of the short names
 * that say something else, are kept back. Phrases that are given are added to them, or all there is of `words`.
 */
export function emojiCaptions(emoji: EmojiWords, kind: EmojiCaptions, phrases: readonly string[] = []): string[] {
  if (emoji.name === '') return [];
  const suffix = emoji.tone === '' ? '' : `, ${emoji.tone}`;
  const { taught, withheld } = namesOf(emoji);
  if (kind === 'synonym' || kind === 'word-order') {
    const caption = withheld[kind];
    return caption === undefined ? [] : [`${caption}${suffix}`];
  }
  const toned = (captions: readonly string[]): string[] => captions.map((caption) => `${caption}${suffix}`);
  return kind === 'words' ? toned(phrases) : [...plainCaptions(emoji, suffix), ...toned([...taught, ...phrases])];
}

/** Other names of an emoji and its name in another order: those that are taught, and those that are kept back. */
export function namesOf(emoji: EmojiWords): {
  taught: string[];
  withheld: Partial<Record<'synonym' | 'word-order', string>>;
} {
  const known = new Set(plainCaptions(emoji, '').map(normal));
  const isNew = (caption: string): boolean => caption !== '' && !known.has(normal(caption));
  const shortNames = emoji.shortNames.filter(isNew);
  const orders = [reordered(emoji)].filter(isNew);
  const [synonym, order] = isWithheld(emoji) ? [chosen(emoji, shortNames), orders[0]] : [];
  const secret = new Set([synonym, order].map((caption) => caption && normal(caption)));
  return {
    taught: [...shortNames, ...orders].filter((caption) => !secret.has(normal(caption))),
    withheld: { ...(synonym !== undefined && { synonym }), ...(order !== undefined && { 'word-order': order }) },
  };
}

/** The name first, then the name with its group, the name with keywords, the keywords alone. */
function plainCaptions({ name, group, keywords }: EmojiWords, suffix: string): string[] {
  const words = new Set(wordsOf(name));
  const others = keywords.filter((keyword) => !words.has(keyword)).slice(0, MAX_KEYWORDS);
  return [
    `${name}${suffix}`,
    `${group.toLowerCase()}: ${name}${suffix}`,
    [`${name}${suffix}`, ...others.slice(0, 3)].join(', '),
    keywords.length === 0 ? '' : `${keywords.slice(0, MAX_KEYWORDS).join(' ')}${suffix}`,
  ];
}

/** The words of the name in the order of their hashes; the words backwards where that is the order they have. */
function reordered({ key, name }: EmojiWords): string {
  const words = name.split(' ');
  const ranked = words
    .map((word, i) => ({ word, rank: hash(`${key} ${i} ${word}`) }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ word }) => word)
    .join(' ');
  return ranked === name ? words.toReversed().join(' ') : ranked;
}

const isWithheld = ({ key }: EmojiWords): boolean => hash(key) % 2 === 1;
const chosen = ({ key }: EmojiWords, names: readonly string[]): string | undefined =>
  names[hash(`${key} short`) % names.length];

/** As it counts whether two captions are the same. */
const normal = (caption: string): string => wordsOf(caption).join(' ');
export const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
export const hash = (text: string): number => createHash('sha256').update(text).digest().readUInt32LE();

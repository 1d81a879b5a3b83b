import { type EmojiWords, hash, namesOf, wordsOf } from './emoji-captions.ts';

/** At most so many phrases of so many words. */
const PHRASES: readonly { readonly words: number; readonly count: number }[] = [
  { words: 1, count: 8 },
  { words: 2, count: 40 },
  { words: 3, count: 40 },
];
/** Words that say nothing alone. */
const FILLERS: ReadonlySet<string> = new Set(
  'a an and at by for from in no not of on or the to up with you'.split(' '),
);
const NONE: ReadonlySet<string> = new Set();

/**
 * Phrases of one, two and three words that tell an emoji from all others by name: words of its name, its keywords and
 * the short names that are taught, which together nothing else has. They teach what single words mean, where whole
 * captions can be learnt by heart. None has the same words as a caption that is kept back. `words` are those of one.
 */
export function tellingPhrases(
  list: readonly EmojiWords[],
  kind: 'phrases' | 'words',
): (emoji: EmojiWords) => string[] {
  const wanted = kind === 'words' ? PHRASES.filter(({ words }) => words === 1) : PHRASES;
  const names = new Map<string, Set<string>>();
  for (const emoji of list)
    for (const word of saidOf(emoji)) names.set(word, (names.get(word) ?? new Set<string>()).add(emoji.name));
  const tells = (words: readonly string[]): boolean => {
    const [first = NONE, ...others] = words.map((word) => names.get(word) ?? NONE);
    return [...first].filter((name) => others.every((having) => having.has(name))).length === 1;
  };
  return (emoji) => {
    const { name } = emoji;
    const said = saidOf(emoji);
    const keptBack = new Set(Object.values(namesOf(emoji).withheld).map(bag));
    return wanted.flatMap(({ words, count }) => {
      const telling = choices(said, words).filter((phrase) => tells(phrase) && !keptBack.has(bag(phrase.join(' '))));
      const phrases = telling.map((phrase) => byHash(phrase, `${name} ${phrase.join(' ')}`).join(' '));
      return byHash(phrases, name).slice(0, count);
    });
  };
}

/** All words that captions of an emoji are made of, each once, but for fillers. */
function saidOf(emoji: EmojiWords): string[] {
  const texts = [emoji.name, ...emoji.keywords, ...namesOf(emoji).taught];
  return [...new Set(texts.flatMap(wordsOf))].filter((word) => !FILLERS.has(word));
}

/** All ways to take so many of some words, in their order. */
function choices(words: readonly string[], count: number): string[][] {
  if (count === 0) return [[]];
  return words.flatMap((word, i) => choices(words.slice(i + 1), count - 1).map((others) => [word, ...others]));
}

/** Texts in the order of hashes that the salt decides. */
function byHash(texts: readonly string[], salt: string): string[] {
  const ranked = texts.map((text) => ({ text, rank: hash(`${salt} ${text}`) }));
  return ranked.toSorted((a, b) => a.rank - b.rank).map(({ text }) => text);
}

/** The words of a text whatever their order. */
const bag = (text: string): string => wordsOf(text).toSorted().join(' ');

import type { Tokenizer } from './tokenizer.ts';

/** Scripts that put no spaces between words: there a word may stand inside a longer run. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;
const letterOrNumber = /[\p{Letter}\p{Number}\p{Mark}]/u;

/** Characters of a text that are not spaces, in lower case, with their places. */
interface Squeezed {
  readonly text: string;
  /** Place of each UTF-16 unit in the original. */
  readonly places: readonly number[];
}

function squeeze(text: string): Squeezed {
  const places = [...text.split('').keys()].filter((i) => !/\s/.test(text[i]!));
  // One unit stays one unit, so that places hold.
  const folded = places.map((i) => (text[i]!.toLowerCase().length === 1 ? text[i]!.toLowerCase() : text[i]!));
  return { text: folded.join(''), places };
}

/** Places [start, end) of a word in a text, however it is spaced: as a whole word, where its script has spaces. */
function occurrences(text: string, word: string): [start: number, end: number][] {
  const [hay, needle] = [squeeze(text), squeeze(word).text];
  const found: [number, number][] = [];
  if (!needle) return found;
  for (let at = hay.text.indexOf(needle); at >= 0; at = hay.text.indexOf(needle, at + 1)) {
    const [start, end] = [hay.places[at]!, hay.places[at + needle.length - 1]! + 1];
    const goesOn = (side: string, edge: string): boolean => letterOrNumber.test(side) && letterOrNumber.test(edge);
    const inside = goesOn(text[start - 1] ?? '', text[start]!) || goesOn(text[end] ?? '', text[end - 1]!);
    if (!inside || unspaced.test(word)) found.push([start, end]);
  }
  return found;
}

/**
 * Places of the tokens that spell a word, or words, wherever they stand in a prompt's ids, whatever their case; none if they do not.
 * ids: of one prompt, special tokens and padding included.
 */
export function wordTokens(tokenizer: Tokenizer, ids: readonly number[], word: string): number[] {
  const texts = ids.map((_, i) => tokenizer.decode(ids.slice(0, i + 1)));
  const text = texts.at(-1) ?? '';
  const places = occurrences(text, word);
  // What comes behind the token that completes the text are the end token and padding.
  return texts.slice(0, texts.indexOf(text) + 1).flatMap((sofar, i) => {
    const end = sofar.length;
    // A token that only completes a character's bytes adds nothing to the length: it belongs to that character.
    const start = Math.min(texts[i - 1]?.length ?? 0, end - 1);
    return places.some(([from, to]) => start < to && end > from) ? [i] : [];
  });
}

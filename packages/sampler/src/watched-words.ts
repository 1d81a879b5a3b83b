import { tensor } from '@star-webgpu/tensor-webgpu';
import type { Star, StarConfig, WatchedText } from '@star-webgpu/star-transformer';
import { type TextEncoder, wordTokens } from '@star-webgpu/text-encoder';
import { SamplingOptionsError } from './options.ts';
import { endsOf, type Prompt } from './prompts.ts';

/** Words whose places in the pictures are to be seen. */
export interface WatchedWords extends Pick<WatchedText, 'blocks' | 'heads'> {
  /** Words, or several words in a row, that stand in every prompt. */
  readonly words: readonly string[];
}

const writtenWords = /[\p{Letter}\p{Number}][\p{Letter}\p{Mark}\p{Number}'’-]*/gu;

/** The words of a prompt that a sampling can watch at once: each once, in lower case, without those that were cut off a long prompt. */
export function watchableWords(
  { text, star }: { readonly text: TextEncoder; readonly star: Star },
  prompt: string,
): string[] {
  const found = new Set([...prompt.toLowerCase().matchAll(writtenWords)].map(([word]) => word));
  return [...found].filter((word) => placesIn(text, prompt, word).length > 0).slice(0, mostWords(star.config));
}

/** A word takes one value of a head. */
const mostWords = ({ width, heads }: StarConfig): number => width / heads;

/** The tokens of watched words, for each prompt. @throws SamplingOptionsError naming every word that is not in a prompt */
export function watchedText(
  text: TextEncoder,
  prompts: readonly Prompt[],
  { words, ...averaged }: WatchedWords,
): WatchedText {
  const faults = prompts.flatMap((prompt) =>
    words
      .filter((word) => !textsOf(prompt).some((one) => placesIn(text, one, word).length))
      .map(
        (word) =>
          `the watched word "${word}", not seen in ${textsOf(prompt)
            .map((one) => `"${one}"`)
            .join(' or ')}`,
      ),
  );
  if (!words.length) faults.push('no watched words');
  if (faults.length) throw new SamplingOptionsError(faults);
  const marks = prompts.flatMap((prompt) => words.flatMap((word) => marksOf(text, prompt, word)));
  return { ...averaged, words_BWT: tensor(marks, [prompts.length, words.length, text.model.config.positions]) };
}

/** 1 for each token of a word, in a blend of either of its prompts, and of none at an end that lacks the word. [T] */
function marksOf(text: TextEncoder, prompt: Prompt, word: string): number[] {
  const { from, to } = endsOf(prompt);
  const places = new Set([from, to].flatMap((one) => placesIn(text, one, word)));
  return Array.from({ length: text.model.config.positions }, (_, t) => Number(places.has(t)));
}

const placesIn = (text: TextEncoder, prompt: string, word: string): number[] =>
  wordTokens(text.tokenizer, [...text.tokenize([prompt]).ids], word);

const textsOf = (prompt: Prompt): string[] => (typeof prompt === 'string' ? [prompt] : [prompt.from, prompt.to]);

/** What a plan of a sampling is told of watched words. */
export interface PlannedWatch extends Pick<WatchedText, 'blocks' | 'heads'> {
  /** How many. */
  readonly words: number;
}

/** The part of watched words that a recording is made for. @throws SamplingOptionsError if they do not fit the text or the transformer */
export function plannedWatch(
  { words_BWT, blocks, heads }: WatchedText,
  { B, T }: { readonly B: number; readonly T: number },
  config: StarConfig,
): PlannedWatch {
  const { shape } = words_BWT;
  const most = mostWords(config);
  const [, W = 0] = shape;
  const fits = shape.length === 3 && shape[0] === B && shape[2] === T && W >= 1 && W <= most;
  const faults = [
    ...(fits ? [] : [`watched words of shape [${shape}] instead of [${B}, 1..${most}, ${T}]`]),
    ...indexFaults('blocks', blocks, config.depth),
    ...indexFaults('heads', heads, config.heads),
  ];
  if (faults.length) throw new SamplingOptionsError(faults);
  return { words: W, ...(blocks && { blocks }), ...(heads && { heads }) };
}

function indexFaults(name: string, given: readonly number[] | undefined, count: number): string[] {
  if (!given) return [];
  const wrong = given.filter((index) => !Number.isInteger(index) || index < 0 || index >= count);
  const holds = given.length > 0 && wrong.length === 0 && new Set(given).size === given.length;
  return holds ? [] : [`watched ${name} [${given.join(', ')}] instead of different ones from 0 to ${count - 1}`];
}

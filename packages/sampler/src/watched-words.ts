import { tensor } from '@star-webgpu/tensor-webgpu';
import type { StarConfig, WatchedText } from '@star-webgpu/star-transformer';
import { type TextEncoder, wordTokens } from '@star-webgpu/text-encoder';
import { SamplingOptionsError } from './options.ts';
import { endsOf, type Prompt } from './prompts.ts';

/** Words whose places in the pictures are to be seen. */
export interface WatchedWords extends Pick<WatchedText, 'blocks' | 'heads'> {
  /** Words, or several words in a row, that stand in every prompt. */
  readonly words: readonly string[];
}

/** The tokens of watched words, for each prompt. @throws SamplingOptionsError naming every word that is not in a prompt */
export function watchedText(
  text: TextEncoder,
  prompts: readonly Prompt[],
  { words, ...averaged }: WatchedWords,
): WatchedText {
  const T = text.model.config.positions;
  const places = prompts.map((prompt) => words.map((word) => placesOf(text, prompt, word)));
  const faults = places.flatMap((ofPrompt, b) =>
    ofPrompt.flatMap((found, w) =>
      found.size ? [] : [`the watched word "${words[w]}", not seen in ${shown(prompts[b]!)}`],
    ),
  );
  if (!words.length) faults.push('no watched words');
  if (faults.length) throw new SamplingOptionsError(faults);
  const marks = places.flat().flatMap((found) => Array.from({ length: T }, (_, t) => Number(found.has(t))));
  return { ...averaged, words_BWT: tensor(marks, [prompts.length, words.length, T]) };
}

/** Where the tokens of a word stand; in a blend, in either of its prompts. */
function placesOf(text: TextEncoder, prompt: Prompt, word: string): Set<number> {
  const { from, to } = endsOf(prompt);
  const found = [...new Set([from, to])].map((one) => wordTokens(text.tokenizer, [...text.tokenize([one]).ids], word));
  return new Set(found.flat());
}

const shown = (prompt: Prompt): string =>
  typeof prompt === 'string' ? `"${prompt}"` : `"${prompt.from}" or "${prompt.to}"`;

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
  const width = config.width / config.heads;
  const [, W = 0] = shape;
  const fits = shape.length === 3 && shape[0] === B && shape[2] === T && W >= 1 && W <= width;
  const faults = [
    ...(fits ? [] : [`watched words of shape [${shape}] instead of [${B}, 1..${width}, ${T}]`]),
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

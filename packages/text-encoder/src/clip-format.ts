import { TextError } from './errors.ts';
import { paddingOf } from './padding.ts';
import type { TokenizerJson } from './tokenizer.ts';

/** Marks the last piece of a word. */
export const wordEnd = '</w>';

const startToken = '<|startoftext|>';
const endToken = '<|endoftext|>';

/** Number of special tokens; they follow all others. */
export const specialTokens = 2;

/** Contractions, runs of letters, single digits, runs of anything else but spaces: CLIP's words. */
const words = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

const isPrintable = (byte: number): boolean =>
  (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte <= 0xff && byte !== 0xad);

/** A visible character for each byte, as every byte-level vocabulary has it: itself, or the next one from U+0100 on. */
export function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

/** Any byte inside a word, then any byte at its end: with them no text is unknown. */
export const byteTokens = (): string[] => [...byteCharacters(), ...byteCharacters().map((one) => one + wordEnd)];

/** Tokens by id and pairs in the order in which they are joined: a standard tokenizer.json, with start and end token behind the others. */
export function clipTokenizerJson({
  tokens,
  merges,
}: {
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}): TokenizerJson {
  const vocab = Object.fromEntries([...tokens, startToken, endToken].map((token, id) => [token, id]));
  return clipPipeline(
    vocab,
    merges.map(([left, right]) => `${left} ${right}`),
  );
}

/**
 * A standard tokenizer.json with CLIP's pipeline: NFC, lower case, CLIP's words, bytes, merges, start and end token.
 * vocab: ids by token, merges: pairs with a space between. @throws TextError if a special token is missing.
 */
export function clipPipeline(vocab: Readonly<Record<string, number>>, merges: readonly string[]): TokenizerJson {
  const [startId, endId] = [specialId(vocab, startToken), specialId(vocab, endToken)];
  return {
    version: '1.0',
    truncation: null,
    padding: paddingOf(endId, endToken),
    added_tokens: [specialToken(startId, startToken), specialToken(endId, endToken)],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: words }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: {
      type: 'RobertaProcessing',
      sep: [endToken, endId],
      cls: [startToken, startId],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: endToken,
      continuing_subword_prefix: '',
      end_of_word_suffix: wordEnd,
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges,
    },
  };
}

function specialId(vocab: Readonly<Record<string, number>>, token: string): number {
  const id = vocab[token];
  if (id === undefined)
    throw new TextError(
      'clipPipeline',
      `vocab must hold ${token}, got ${Object.keys(vocab).length} tokens without it. Use the vocab.json of a CLIP tokenizer.`,
    );
  return id;
}

/** An entry of `added_tokens`: a token that is found before the text is normalised, and never split. */
export const specialToken = (id: number, content: string): Record<string, unknown> => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

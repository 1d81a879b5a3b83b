import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { TextError } from './errors.ts';
import { paddingOf } from './padding.ts';
import { exactNormalizer } from './precompiled.ts';

/** The contents of a `tokenizer.json`. */
export type TokenizerJson = Readonly<Record<string, unknown>>;

/** Prompts as token ids, row-major. */
export interface TokenBatch {
  /** [B, T] */
  readonly ids: Uint32Array;
  /** 1 where a token is real, 0 where it is padding. [B, T] */
  readonly mask: Uint32Array;
  /** True for each prompt that had more than T tokens. [B] */
  readonly truncated: readonly boolean[];
  /** The end of each prompt that was cut, as text; empty where none was, or where it held nothing that the vocabulary knows. [B] */
  readonly cut: readonly string[];
}

/** How a tokenizer prepares prompts and fills them up. */
export interface TokenizerOptions {
  /** Id that fills prompts up: by option, else by the file, else that of `<pad>`, else the end token. */
  readonly padId?: number;
  /** Prepares prompts before they are tokenised, as `cleanCaption` does for T5. */
  readonly clean?: (prompt: string) => string;
}

/** Characters of a prompt that are cleaned, so that no text takes long; the rest counts as cut. */
const longestCleaned = 10_000;

/** Prompts to token ids by a `tokenizer.json`: its start token if it has one, an end token, padding behind it. */
export class Tokenizer {
  /** What the tokenizer was made of, with its padding said. */
  readonly json: TokenizerJson;
  /** Id of the token that ends every prompt. */
  readonly endId: number;
  /** Id that fills a prompt up. */
  readonly padId: number;
  private readonly library: HuggingFaceTokenizer;
  private readonly clean: ((prompt: string) => string) | undefined;

  /** @throws TextError if the file cannot be read as a tokenizer, or adds no end token to a prompt. */
  constructor(json: TokenizerJson, { padId, clean }: TokenizerOptions = {}) {
    this.library = openLibrary(json);
    this.clean = clean;
    this.endId = endOf(this.library.encode('').ids);
    this.padId = padId ?? writtenPadding(json) ?? this.library.token_to_id('<pad>') ?? this.endId;
    this.json = { ...json, padding: paddingOf(this.padId, this.tokenOf(this.padId)) };
  }

  /** One more than the largest id. */
  get vocabSize(): number {
    return 1 + [...this.library.get_vocab().values()].reduce((largest, id) => Math.max(largest, id), 0);
  }

  /** Ids of a prompt with the special tokens around it, of whatever length. */
  encode(prompt: string): number[] {
    return this.idsAndRest(prompt).ids;
  }

  /** Text of ids, without start, end and padding; what the normaliser changed stays changed. */
  decode(ids: readonly number[]): string {
    return ids.length ? this.library.decode([...ids], { skip_special_tokens: true }) : '';
  }

  /** Prompts padded or cut to `length` tokens; a cut prompt keeps its end token. No text is an error. */
  encodeBatch(prompts: readonly string[], length: number): TokenBatch {
    if (!Number.isInteger(length) || length < 2)
      throw new TextError(
        'encodeBatch',
        `length must be an integer of at least 2, got ${length}. Use the model's positions.`,
      );
    const ids = new Uint32Array(prompts.length * length).fill(this.padId);
    const mask = new Uint32Array(prompts.length * length);
    const rows = prompts.map((prompt, row) => {
      const { fitting, truncated, cut } = this.fit(prompt, length);
      ids.set(fitting, row * length);
      mask.fill(1, row * length, row * length + fitting.length);
      return { truncated, cut };
    });
    return { ids, mask, truncated: rows.map(({ truncated }) => truncated), cut: rows.map(({ cut }) => cut) };
  }

  /** As many ids of a prompt as fit, and the text of those that do not. */
  private fit(prompt: string, length: number): { fitting: number[]; truncated: boolean; cut: string } {
    const { ids, rest } = this.idsAndRest(prompt);
    if (ids.length <= length) return { fitting: ids, truncated: rest !== '', cut: rest };
    const cut = this.decode(ids.slice(length - 1)).trim();
    return { fitting: [...ids.slice(0, length - 1), this.endId], truncated: true, cut: `${cut}${rest}` };
  }

  private idsAndRest(prompt: string): { ids: number[]; rest: string } {
    if (!this.clean) return { ids: this.library.encode(prompt).ids, rest: '' };
    const text = this.clean(prompt.slice(0, longestCleaned));
    return { ids: this.library.encode(text).ids, rest: prompt.slice(longestCleaned) };
  }

  private tokenOf(id: number): string {
    const token = this.library.id_to_token(id);
    if (token === undefined)
      throw new TextError(
        'Tokenizer',
        `padId must be an id of the vocabulary, got ${id}. Use one below ${this.vocabSize}.`,
      );
    return token;
  }
}

function openLibrary(json: TokenizerJson): HuggingFaceTokenizer {
  try {
    const library = new HuggingFaceTokenizer(json, {});
    library.normalizer = exactNormalizer(library.normalizer);
    return library;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TextError(
      'Tokenizer',
      `json must be a tokenizer.json, got a file that fails with "${reason}". Fetch it again.`,
    );
  }
}

function endOf(emptyPrompt: readonly number[]): number {
  const end = emptyPrompt.at(-1);
  if (end === undefined)
    throw new TextError(
      'Tokenizer',
      'json must add an end token to every prompt, got a post_processor that adds none. Use the tokenizer of a text encoder.',
    );
  return end;
}

const writtenPadding = (json: TokenizerJson): number | undefined =>
  (json['padding'] as { pad_id?: number } | null | undefined)?.pad_id;

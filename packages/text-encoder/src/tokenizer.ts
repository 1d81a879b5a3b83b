import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { TextError } from './errors.ts';

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
}

/** Prompts to token ids by a `tokenizer.json`, with CLIP's conventions: a start token, an end token, padding behind it. */
export class Tokenizer {
  /** What the tokenizer was made of, with its padding. */
  readonly json: TokenizerJson;
  /** Id of the token that ends every prompt. */
  readonly endId: number;
  /** Id that fills a prompt up: by option, else by the file, else the end token. */
  readonly padId: number;
  private readonly library: HuggingFaceTokenizer;

  /** @throws TextError if the file cannot be read as a tokenizer, or adds no end token to a prompt. */
  constructor(json: TokenizerJson, { padId }: { readonly padId?: number } = {}) {
    this.library = openLibrary(json);
    this.endId = endOf(this.library.encode('').ids);
    this.padId = padId ?? (json['padding'] as { pad_id?: number } | null | undefined)?.pad_id ?? this.endId;
    this.json = padId === undefined ? json : { ...json, padding: paddingOf(padId, this.tokenOf(padId)) };
  }

  /** One more than the largest id. */
  get vocabSize(): number {
    return 1 + [...this.library.get_vocab().values()].reduce((largest, id) => Math.max(largest, id), 0);
  }

  /** Ids of a prompt with start and end token, of whatever length. */
  encode(prompt: string): number[] {
    return this.library.encode(prompt).ids;
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
    const truncated = prompts.map((prompt, row) => {
      const all = this.encode(prompt);
      const fitting = all.length > length ? [...all.slice(0, length - 1), this.endId] : all;
      ids.set(fitting, row * length);
      mask.fill(1, row * length, row * length + fitting.length);
      return all.length > length;
    });
    return { ids, mask, truncated };
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
    return new HuggingFaceTokenizer(json, {});
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

/** The `padding` section of a tokenizer.json. */
const paddingOf = (id: number, token: string): Record<string, unknown> => ({
  strategy: 'BatchLongest',
  direction: 'Right',
  pad_to_multiple_of: null,
  pad_id: id,
  pad_type_id: 0,
  pad_token: token,
});

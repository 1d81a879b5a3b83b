import { type ReadFile, readText } from '@star-webgpu/tensor-webgpu';
import { clipPipeline, specialToken } from './clip-format.ts';
import { TextError } from './errors.ts';
import { paddingOf } from './padding.ts';
import { parseObject, readOptional } from './read-file.ts';
import type { TokenizerJson } from './tokenizer.ts';

type Named = Readonly<Record<string, unknown>>;

/**
 * The tokenizer of a folder in Hugging Face layout: tokenizer.json, or CLIP's vocab.json and merges.txt. Where the first does not say how it pads,
 * special tokens and padding are those of special_tokens_map.json (Stable Diffusion 2.1 pads with "!"), then of tokenizer_config.json.
 * @throws TextError if neither form is there, or a file is broken.
 */
export async function readTokenizerFiles(read: ReadFile): Promise<TokenizerJson> {
  const optional = async (file: string): Promise<Named | undefined> => {
    const bytes = await readOptional(read, file);
    return bytes && parseObject(bytes, file);
  };
  const written = await optional('tokenizer.json');
  if (written?.['padding']) return written;
  const json = written ?? (await clipFiles(read, await optional('vocab.json')));
  const map = (await optional('special_tokens_map.json')) ?? {};
  const config = (await optional('tokenizer_config.json')) ?? {};
  return withPadding(withSpecialTokens(json, map), map['pad_token'] ?? config['pad_token']);
}

const clipFiles = async (read: ReadFile, vocab: Named | undefined): Promise<TokenizerJson> =>
  vocab ? clipPipeline(checkedVocab(vocab), await readMerges(read)) : noTokenizer();

function noTokenizer(): never {
  throw new TextError(
    'loadTextEncoder',
    'folder must hold tokenizer.json, or vocab.json and merges.txt, got neither. Point at the folder of a tokenizer.',
  );
}

function checkedVocab(vocab: Named): Record<string, number> {
  const wrong = Object.entries(vocab).find(([, id]) => !Number.isInteger(id) || (id as number) < 0);
  if (!wrong) return vocab as Record<string, number>;
  throw new TextError(
    'loadTextEncoder',
    `vocab.json must give each token an id, got ${JSON.stringify(wrong[1])} for ${JSON.stringify(wrong[0])}. Fetch it again.`,
  );
}

/** Pairs of merges.txt, without its first line, which names the format's version. */
async function readMerges(read: ReadFile): Promise<string[]> {
  const bytes = await readOptional(read, 'merges.txt');
  if (!bytes)
    throw new TextError(
      'loadTextEncoder',
      'folder must hold merges.txt beside vocab.json, got none. Fetch both files of the tokenizer.',
    );
  const lines = (await readText(bytes)).split(/\r?\n/);
  return lines.slice(lines[0]?.startsWith('#version') ? 1 : 0).filter((line) => line.trim());
}

/** A special token as these files write it: its text, or an object with that and its options. */
const contentOf = (token: unknown): string | undefined =>
  typeof token === 'string' ? token : ((token as { content?: string } | null | undefined)?.content ?? undefined);

/** Tokens that the map names are found before a prompt is split, so that a "!" is the padding's token wherever it stands. */
function withSpecialTokens(json: TokenizerJson, map: Named): TokenizerJson {
  const added = new Map(addedTokens(json).map((token) => [token.content, token]));
  for (const token of Object.values(map)) {
    const content = contentOf(token);
    const id = content === undefined ? undefined : idOf(json, content);
    if (content === undefined || id === undefined || (typeof token === 'string' && added.has(content))) continue;
    added.set(content, { ...specialToken(id, content), ...(typeof token === 'object' && token), id, content });
  }
  return { ...json, added_tokens: [...added.values()] };
}

function withPadding(json: TokenizerJson, token: unknown): TokenizerJson {
  const content = contentOf(token);
  const id = content === undefined ? undefined : idOf(json, content);
  return content === undefined || id === undefined ? json : { ...json, padding: paddingOf(id, content) };
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
}

const addedTokens = (json: TokenizerJson): readonly AddedToken[] =>
  (json['added_tokens'] ?? []) as readonly AddedToken[];

/** The id of a token in a tokenizer.json: vocabularies are objects of ids, or lists of pieces with their scores. */
function idOf(json: TokenizerJson, content: string): number | undefined {
  const special = addedTokens(json).find((one) => one.content === content);
  if (special) return special.id;
  const { vocab } = (json['model'] ?? {}) as { vocab?: Readonly<Record<string, number>> | readonly [string, number][] };
  if (!Array.isArray(vocab)) return (vocab as Readonly<Record<string, number>> | undefined)?.[content];
  const at = vocab.findIndex(([piece]) => piece === content);
  return at < 0 ? undefined : at;
}

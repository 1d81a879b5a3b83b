import { readSafetensors, writeSafetensors } from '@star-webgpu/tensor-webgpu';
import { ClipText } from './clip.ts';
import { formatTextConfig, parseTextConfig } from './config.ts';
import { TextEncoder } from './encoder.ts';
import { TextError } from './errors.ts';
import { Tokenizer } from './tokenizer.ts';

/** Gives the bytes of a file of a folder. */
export type ReadFile = (file: string) => Promise<Uint8Array>;

/** In files of other programs: constants, and the projection that a text encoder has no use for. */
const unused = /\.position_ids$|^text_projection\.weight$/;

export interface LoadTextOptions {
  /** Leaves the parameters trainable; they are frozen otherwise. */
  readonly trainable?: boolean;
  /** Id that fills prompts up, where the tokenizer.json does not say it. */
  readonly padId?: number;
}

/**
 * A text encoder from a folder in Hugging Face layout: config.json, model.safetensors, tokenizer.json.
 * @throws TextConfigError, SafetensorsError, WeightsError or TextError, each naming what is wrong.
 */
export async function loadTextEncoder(
  read: ReadFile,
  { trainable = false, padId }: LoadTextOptions = {},
): Promise<TextEncoder> {
  const config = parseTextConfig(await readJson(read, 'config.json'));
  const tokenizer = new Tokenizer(await readJson(read, 'tokenizer.json'), padId === undefined ? {} : { padId });
  const weights = readSafetensors(await read('model.safetensors'));
  const model = new ClipText(config);
  try {
    model.load(weights, { ignore: unused });
    return new TextEncoder(tokenizer, trainable ? model : model.freeze());
  } catch (fault) {
    model.dispose();
    throw fault;
  }
}

/** The files of a text encoder's folder by name, in Hugging Face layout. */
export async function saveTextEncoder(
  { model, tokenizer }: TextEncoder,
  { dtype = 'F32' }: { readonly dtype?: 'F32' | 'F16' } = {},
): Promise<Map<string, Uint8Array>> {
  const weights = writeSafetensors(await model.hostWeights(dtype), { format: 'pt' });
  return new Map([
    ['config.json', jsonBytes(formatTextConfig(model.config))],
    ['model.safetensors', weights],
    ['tokenizer.json', jsonBytes(tokenizer.json)],
  ]);
}

const jsonBytes = (value: unknown): Uint8Array =>
  new globalThis.TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);

async function readJson(read: ReadFile, file: string): Promise<Record<string, unknown>> {
  const text = new TextDecoder().decode(await read(file));
  const value = parse(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TextError(
    'loadTextEncoder',
    `${file} must hold a JSON object, got ${JSON.stringify(text.slice(0, 40))}. Fetch it again.`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

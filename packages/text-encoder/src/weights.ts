import {
  folderBytes,
  insideOf,
  jsonFile,
  type ModelFolder,
  openWeights,
  type ReadFile,
  type WeightsFile,
  withParameters,
} from '@star-webgpu/tensor-webgpu';
import { TextEncoder } from './encoder.ts';
import { TextError } from './errors.ts';
import { parseObject, readOptional } from './read-file.ts';
import { plainNames, storedConfig, storedModel, type TextModel } from './text-model.ts';
import { readTokenizerFiles } from './tokenizer-files.ts';
import { Tokenizer, type TokenizerOptions } from './tokenizer.ts';

/** How `loadTextEncoder` keeps a model. */
export interface LoadTextOptions {
  /** Leaves the parameters trainable; they are frozen otherwise. */
  readonly trainable?: boolean;
  /** Id that fills prompts up, where the tokenizer's files do not say it. */
  readonly padId?: number;
  /** Type of matrices on the device; f16 halves their memory. */
  readonly dtype?: 'f32' | 'f16';
}

/**
 * A text encoder of the kind that its config.json names, CLIP text or a T5 encoder, from a folder in Hugging Face layout: config.json,
 * model.safetensors (or its shards) and tokenizer.json (or vocab.json and merges.txt) side by side, or as they are published with
 * Stable Diffusion: `text_encoder/` beside `tokenizer/`.
 * @throws TextConfigError, SafetensorsError, WeightsError or TextError, each naming what is wrong.
 */
export async function loadTextEncoder(
  read: ReadFile,
  { trainable = false, padId, dtype = 'f32' }: LoadTextOptions = {},
): Promise<TextEncoder> {
  const folders = await findFolders(read);
  const stored = storedModel(folders.config);
  const json = await readTokenizerFiles(folders.tokenizer);
  const weights = plainNames(await openWeights(folders.model), stored);
  const model = withParameters({ values: 'none', dtype }, stored.create);
  await model.loadStored(weights, { ignore: stored.ignore });
  try {
    const options = { ...(padId !== undefined && { padId }), ...(await preparation(model)) };
    return new TextEncoder(new Tokenizer(json, options), trainable ? model : model.freeze());
  } catch (fault) {
    model.dispose();
    throw fault;
  }
}

interface Folders {
  readonly config: Record<string, unknown>;
  readonly model: ReadFile;
  readonly tokenizer: ReadFile;
}

/** Everything in one folder, or the two that Stable Diffusion has. */
async function findFolders(read: ReadFile): Promise<Folders> {
  const own = await readOptional(read, 'config.json');
  if (own) return { config: await parseObject(own, 'config.json'), model: read, tokenizer: read };
  const model = insideOf(read, 'text_encoder');
  const published = await readOptional(model, 'config.json');
  if (published)
    return { config: await parseObject(published, 'config.json'), model, tokenizer: insideOf(read, 'tokenizer') };
  throw new TextError(
    'loadTextEncoder',
    'folder must hold config.json, or text_encoder/config.json beside tokenizer/, got neither. Point at the folder of a text encoder.',
  );
}

/** What a model's prompts go through; the cleaning is fetched only where it is wanted, for the sake of bundles. */
async function preparation({ config }: TextModel): Promise<TokenizerOptions> {
  if (!('cleanCaptions' in config) || !config.cleanCaptions) return {};
  const { cleanCaption } = await import('./clean-caption.ts');
  return { clean: cleanCaption };
}

/** A text encoder's folder, in Hugging Face layout: `config.json`, `model.safetensors` and `tokenizer.json`. */
export const textEncoderFolder = ({ model, tokenizer }: TextEncoder): ModelFolder =>
  new Map<string, Uint8Array | WeightsFile>([
    ['config.json', jsonFile(storedConfig(model))],
    ['model.safetensors', { tensors: model.namedTensors(), metadata: { format: 'pt' } }],
    ['tokenizer.json', jsonFile(tokenizer.json)],
  ]);

/** The files of a text encoder's folder by name. */
export const saveTextEncoder = (
  text: TextEncoder,
  { dtype = 'F32' }: { readonly dtype?: 'F32' | 'F16' } = {},
): Promise<Map<string, Uint8Array>> => folderBytes(textEncoderFolder(text), dtype);

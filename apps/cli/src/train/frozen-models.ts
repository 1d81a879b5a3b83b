import type { PictureSize } from '@star-webgpu/data-lmdb';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import { loadTextEncoder, type TextEncoder } from '@star-webgpu/text-encoder';
import type { TokenModel } from '@star-webgpu/trainer';
import { loadQuantizer, loadVqvae, type Vqvae } from '@star-webgpu/vqvae';
import type { TokenRun } from './config/parse.ts';
import { sizesOf, type TrainingData } from './data.ts';
import { frozenFolders, tokensOf } from './frozen.ts';
import type { TokenFile } from './token-file.ts';

/** What does not learn, as far as it is needed: tokens spare the encoders, but previews want them. */
interface Frozen {
  readonly vqvae: TokenModel;
  /** The same, where all of it is there. */
  readonly whole: Vqvae | undefined;
  readonly text: TextEncoder | undefined;
  readonly tokens: TokenFile | undefined;
  readonly sizes: readonly PictureSize[];
}

/** Loads what does not learn, as far as a run needs it. */
export async function frozenModels(config: TokenRun, data: TrainingData): Promise<Frozen> {
  const folders = frozenFolders(config);
  const quantizing = await loadQuantizer(folderFiles(folders.vqvae));
  const sizes = sizesOf(config, quantizing.config);
  const tokens = await tokensOf(config, data, sizes);
  const draws = config.preview ?? config.evaluation?.retrieval;
  const whole = tokens && !draws ? undefined : await loadVqvae(folderFiles(folders.vqvae));
  if (whole) quantizing.quantizer.dispose();
  const textFolder = tokens?.text && !draws ? undefined : folders.text;
  const text = textFolder ? await loadTextEncoder(folderFiles(textFolder)) : undefined;
  return { vqvae: whole ?? quantizing, whole, text, tokens, sizes };
}

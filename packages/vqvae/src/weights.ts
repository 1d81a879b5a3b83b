import {
  folderBytes,
  jsonFile,
  type ModelFolder,
  openWeights,
  type ReadFile,
  readText,
  type WeightsFile,
  withParameters,
} from '@star-webgpu/tensor-webgpu';
import { type VqvaeConfig, vqvaeConfig } from './config.ts';
import { growCodebook } from './grow-codebook.ts';
import { Vqvae } from './vqvae.ts';

/** Usage statistics of published files: they may count another number of scales, and nothing here reads them. */
export const unusedVqvaeWeights: RegExp = /ema_vocab_hit_SV$/;

/** How `loadVqvae` keeps a model. */
export interface LoadVqvaeOptions {
  /** Type of filters on the device; f16 halves their memory. The quantiser stays f32. */
  readonly dtype?: 'f32' | 'f16';
  /** What is to be other than the folder says, to train on. A larger codebook keeps its codes and splits them. */
  readonly changes?: VqvaeChanges;
  /** Of the codes that are added. */
  readonly seed?: number;
}

/** What a VQVAE can be trained on with, its other weights being kept. */
export type VqvaeChanges = Partial<Pick<VqvaeConfig, 'codebookSize' | 'patchNumbers' | 'beta'>>;

/** Builds a model from `config.json` and `model.safetensors`. @throws WeightsError listing every tensor that does not fit. */
export async function loadVqvae(
  readFile: ReadFile,
  { dtype = 'f32', changes, seed = 0 }: LoadVqvaeOptions = {},
): Promise<Vqvae> {
  const stored = JSON.parse(await readText(await readFile('config.json'))) as Partial<VqvaeConfig>;
  const config = vqvaeConfig({ ...stored, ...changes });
  const weights = await growCodebook(await openWeights(readFile), config.codebookSize, seed);
  const vqvae = withParameters({ values: 'none', dtype }, () => new Vqvae(config));
  return vqvae.loadStored(weights, { ignore: unusedVqvaeWeights });
}

/** The model's folder: `config.json` and `model.safetensors`. */
export const vqvaeFolder = (vqvae: Vqvae): ModelFolder =>
  new Map<string, Uint8Array | WeightsFile>([
    ['config.json', jsonFile(vqvae.config)],
    ['model.safetensors', { tensors: vqvae.namedTensors() }],
  ]);

/** The files of a model folder, by name. */
export const saveVqvae = (vqvae: Vqvae, dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> =>
  folderBytes(vqvaeFolder(vqvae), dtype);

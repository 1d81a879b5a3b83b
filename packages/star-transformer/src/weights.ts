import {
  folderBytes,
  jsonFile,
  type ModelFolder,
  openWeights,
  type ReadFile,
  readText,
  storedTensor,
  type WeightsFile,
  withParameters,
} from '@star-webgpu/tensor-webgpu';
import { type RefinerConfig, type StarConfig, starConfig } from './config.ts';
import { Star } from './star.ts';
import { transferScales } from './transfer.ts';

/** Names that published files hold and the model does not use: an unused table, zero key biases, rotation tables. */
export const unusedStarWeights: RegExp = /^class_emb\.|zero_k_bias$|freqs_cis$/;

/** How `loadStar` keeps a model, and what it changes. */
export interface LoadStarOptions {
  /** Type of matrices on the device; f16 halves their memory. */
  readonly dtype?: 'f32' | 'f16';
  /** Gives a model that has no refiner one with initial weights; one that the model has stays. */
  readonly addRefiner?: RefinerConfig;
  /** What is to be other than the folder says. Other scales keep all weights, with new embeddings for those that are more. */
  readonly changes?: Partial<Pick<StarConfig, 'patchNumbers' | 'crossAttention' | 'dropPath'>>;
  /** Of initial weights. */
  readonly seed?: number;
}

/** Builds a model from `config.json` and `model.safetensors`. @throws WeightsError listing every tensor that does not fit. */
export async function loadStar(
  readFile: ReadFile,
  { addRefiner, changes, seed = 0, dtype = 'f32' }: LoadStarOptions = {},
): Promise<Star> {
  const stored = JSON.parse(await readText(await readFile('config.json'))) as StarConfig;
  const found = starConfig({ ...stored, ...changes });
  const { weights } = transferScales(await openWeights(readFile), found, seed);
  const added = found.refiner ? undefined : addRefiner;
  const star = added
    ? withParameters({ dtype }, () => new Star(starConfig({ ...found, refiner: added }), { seed }))
    : withParameters({ values: 'none', dtype }, () => new Star(found));
  const initial = added ? await star.refiner!.hostWeights() : [];
  const own = [...initial].map(([name, value]) => [name, storedTensor(value)] as const);
  return star.loadStored(new Map([...own, ...weights]), { ignore: unusedStarWeights });
}

/** The model's folder: `config.json` and `model.safetensors`. */
export const starFolder = (star: Star): ModelFolder =>
  new Map<string, Uint8Array | WeightsFile>([
    ['config.json', jsonFile(star.config)],
    ['model.safetensors', { tensors: star.namedTensors() }],
  ]);

/** The files of a model folder, by name. */
export const saveStar = (star: Star, dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> =>
  folderBytes(starFolder(star), dtype);

import { readSafetensors, writeSafetensors } from '@star-webgpu/tensor-webgpu';
import { type StarConfig, starConfig } from './config.ts';
import { Star } from './star.ts';

/** Reads a file of a model folder by its name. */
export type ReadFile = (name: string) => Promise<Uint8Array>;

/** Names that published files hold and the model does not use: an unused table, zero key biases, rotation tables. */
const ignored = /^class_emb\.|zero_k_bias$|freqs_cis$/;

/** Builds a model from `config.json` and `model.safetensors`. @throws WeightsError listing every tensor that does not fit. */
export async function loadStar(readFile: ReadFile): Promise<Star> {
  const config = starConfig(JSON.parse(new TextDecoder().decode(await readFile('config.json'))) as StarConfig);
  return new Star(config).load(readSafetensors(await readFile('model.safetensors')), { ignore: ignored });
}

/** The files of a model folder, by name. */
export async function saveStar(star: Star, dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
  return new Map([
    ['config.json', new TextEncoder().encode(`${JSON.stringify(star.config, null, 2)}\n`)],
    ['model.safetensors', writeSafetensors(await star.hostWeights(dtype))],
  ]);
}

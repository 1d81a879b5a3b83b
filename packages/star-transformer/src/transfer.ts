import {
  hostFloats,
  hostRandom,
  hostTensor,
  readStored,
  type StoredTensor,
  storedTensor,
} from '@star-webgpu/tensor-webgpu';
import type { StarConfig } from './config.ts';
import { starInit } from './init.ts';

/** Tables with a row for each scale: all that depends on the picture's size in a model's weights. */
const scaleTables = ['lvl_embed.weight', 'lvl_embed_2.weight'];

/** Apart from the streams that the other weights are drawn from. */
const tableStream = 2;

/**
 * Weights for other scales (resolution transfer): everything is kept. Of the embeddings of the scales, which are the only weights that
 * depend on their number, the first rows are kept and new ones drawn as for a new model.
 */
export async function transferScales(
  weights: ReadonlyMap<string, StoredTensor>,
  config: StarConfig,
  seed: number,
): Promise<Map<string, StoredTensor>> {
  const transferred = new Map(weights);
  const random = hostRandom(seed, tableStream);
  const [S, C] = [config.patchNumbers.length, config.width];
  for (const name of scaleTables) {
    const before = weights.get(name);
    if (!before || before.shape[0] === S) continue;
    const rows = starInit(config, random).weight([S, C]);
    rows.set(hostFloats(await readStored(before)).subarray(0, S * C));
    transferred.set(name, storedTensor(hostTensor(rows, [S, C])));
  }
  return transferred;
}

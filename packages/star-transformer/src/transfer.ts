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

/** Weights for other scales, and in words what became of the tables. */
export interface Transferred {
  readonly weights: ReadonlyMap<string, StoredTensor>;
  readonly notes: readonly string[];
}

/**
 * Weights for the scales of a config (resolution transfer): all of them are kept. Of the embeddings of scales, which are the only ones that
 * depend on the number of scales, the first rows are kept and new ones drawn from a seed as for a new model.
 */
export function transferScales(
  stored: ReadonlyMap<string, StoredTensor>,
  config: StarConfig,
  seed: number,
): Transferred {
  const weights = new Map(stored);
  const notes: string[] = [];
  const wanted = config.patchNumbers.length;
  for (const [stream, name] of ['lvl_embed.weight', 'lvl_embed_2.weight'].entries()) {
    const table = stored.get(name);
    const scales = table?.shape[0];
    if (!table || scales === undefined || scales === wanted || table.shape.length !== 2) continue;
    weights.set(name, withRows(table, wanted, { config, seed, stream }));
    notes.push(
      `${name}: ${Math.min(scales, wanted)} of ${scales} rows kept${wanted > scales ? `, ${wanted - scales} drawn from seed ${seed}` : ''}`,
    );
  }
  return { weights, notes };
}

/** A table with another number of rows. */
function withRows(
  stored: StoredTensor,
  rows: number,
  { config, seed, stream }: { readonly config: StarConfig; readonly seed: number; readonly stream: number },
): StoredTensor {
  const shape = [rows, stored.shape[1]!];
  return {
    dtype: 'F32',
    shape,
    pieces: async function* pieces() {
      const kept = hostFloats(await readStored(stored));
      const table = starInit(config, hostRandom(seed, stream)).weight(shape);
      table.set(kept.subarray(0, table.length));
      yield* storedTensor(hostTensor(table, shape)).pieces();
    },
  };
}

import {
  hostFloats,
  hostRandom,
  hostTensor,
  readStored,
  type StoredTensor,
  storedTensor,
} from '@star-webgpu/tensor-webgpu';

const table = 'quantize.embedding.weight';
/** Deviation of a copy from its code, as a share of the codebook's root mean square. */
const spread = 0.1;

/**
 * Weights for a codebook of more rows: its codes are kept, and the new rows are copies of them beside their originals, which training draws
 * apart (splitting, Linde, Buzo and Gray, 1980). What has no fewer rows than wanted stays as it is.
 */
export async function growCodebook(
  stored: ReadonlyMap<string, StoredTensor>,
  rows: number,
  seed: number,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const codebook = stored.get(table);
  const [V = 0, Z = 0] = codebook?.shape ?? [];
  if (!codebook || V * Z === 0 || V >= rows) return stored;
  const kept = hostFloats(await readStored(codebook));
  const deviation = spread * Math.sqrt(kept.reduce((sum, value) => sum + value * value, 0) / kept.length);
  const random = hostRandom(seed);
  const grown = Float32Array.from({ length: rows * Z }, (_, i) =>
    i < kept.length ? kept[i]! : kept[i % kept.length]! + deviation * random.normal(),
  );
  return new Map([...stored, [table, storedTensor(hostTensor(grown, [rows, Z]))]]);
}

import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelUrl } from '@star-webgpu/model-emoji';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openModel } from './model.ts';

beforeAll(async () => void (await testDevice()));

/** Puts a tensor that no model uses behind the others of a file, with a hole on the disk for its bytes. */
async function addUnused(file: string, floats: number): Promise<number> {
  const bytes = await readFile(file);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, unknown>;
  const data = bytes.subarray(8 + length);
  header['class_emb.weight'] = { dtype: 'F32', shape: [floats], data_offsets: [data.length, data.length + 4 * floats] };
  const text = Buffer.from(JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(text.length));
  await writeFile(file, Buffer.concat([start, text, data]));
  const size = 8 + text.length + data.length + 4 * floats;
  await truncate(file, size);
  return size;
}

describe('openModel', () => {
  it('opens a model whose file is larger than Node reads at once, as published ones are', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'star-model-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await cp(fileURLToPath(modelUrl), folder, { recursive: true });
    const size = await addUnused(join(folder, 'star/model.safetensors'), 600_000_000);
    expect(size).toBeGreaterThan(2 ** 31);
    const [large, plain] = [await openModel(folder), await openModel()];
    const weights = await large.star.hostWeights();
    for (const [name, { bytes }] of await plain.star.hostWeights())
      expect(Buffer.compare(weights.get(name)!.bytes, bytes), name).toBe(0);
    large.dispose();
    plain.dispose();
  });
});

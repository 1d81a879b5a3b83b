import { stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { check } from './errors.ts';
import { explainMissing, listFiles } from './files.ts';
import { lmdbFormat } from './lmdb-file.ts';
import { parquetSource } from './parquet-source.ts';
import { isReferencePack, referenceFolderSource, referencePackSource } from './reference-source.ts';
import type { PackSource } from './source.ts';
import { folderSource, jsonlSource, tsvSource } from './sources.ts';
import { webDatasetSource } from './webdataset.ts';

/**
 * The source that a path stands for: a folder of pictures, a .jsonl, a .tsv, a parquet table, a WebDataset shard or a reference pack, a
 * folder of one kind of the last three, or a folder with `images/` and `jsons/`.
 */
export async function sourceOf(path: string): Promise<PackSource> {
  const info = await explainMissing(path, stat(path));
  return info.isDirectory() ? await sourceOfFolder(path) : await sourceOfFile(path);
}

async function sourceOfFile(path: string): Promise<PackSource> {
  const ending = extname(path).toLowerCase();
  if (ending === '.jsonl') return await jsonlSource(path);
  if (ending === '.tsv') return await tsvSource(path);
  if (ending === '.tar') return await webDatasetSource([path]);
  if (ending === '.parquet') return await parquetSource(path);
  const format = await lmdbFormat(path);
  check(format !== 2, () => `pack: source must hold pictures to pack, got the pack ${path}. Use it as it is.`);
  check(
    format === 1,
    () =>
      `pack: source must be a folder, a .jsonl, a .tsv, a .parquet, a .tar or a pack of the reference code, got ${path}. Choose one of these.`,
  );
  return await referencePackSource(path);
}

async function sourceOfFolder(folder: string): Promise<PackSource> {
  const files = await listFiles(folder);
  if (files.some((file) => file.startsWith('images/')) && files.some((file) => file.startsWith('jsons/')))
    return await referenceFolderSource(folder);
  const present = new Set(files);
  const paths = (holds: (file: string) => boolean): string[] => files.filter(holds).map((file) => join(folder, file));
  const packs = paths((file) => isReferencePack(file, present));
  if (packs.length > 0) return await joined(folder, packs, referencePackSource);
  const shards = paths((file) => file.endsWith('.tar'));
  if (shards.length > 0) return await webDatasetSource(shards);
  const tables = paths((file) => file.endsWith('.parquet'));
  if (tables.length > 0) return await joined(folder, tables, parquetSource);
  return await folderSource(folder);
}

/** Several sources as one, opened one after the other: there may be more files than a process may hold open. */
async function joined(
  origin: string,
  paths: readonly string[],
  open: (path: string) => Promise<PackSource>,
): Promise<PackSource> {
  const sources: PackSource[] = [];
  for (const path of paths) sources.push(await open(path));
  return {
    origin,
    entries: sources.flatMap(({ entries }) => entries),
    refused: sources.flatMap(({ refused }) => refused),
  };
}

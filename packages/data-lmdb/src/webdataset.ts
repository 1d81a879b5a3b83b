import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { captionsIn, parseFields } from './captions.ts';
import { check, codeOf, explainDiskFull, messageOf } from './errors.ts';
import { isPicture, readRange } from './files.ts';
import type { Pack, PackedPicture } from './reader.ts';
import type { PackSource, Refusal, SourceEntry } from './source.ts';
import { tarBlocks, tarEnd, tarMembers, type TarMember } from './tar-members.ts';

/** Members of one name up to its first dot: the parts of one sample. */
interface Sample {
  /** The name, folders included. */
  base: string;
  picture?: TarMember;
  text?: TarMember;
  record?: TarMember;
}

/**
 * WebDataset shards: tars in which a sample is the files of one name, `000001.jpg` with `000001.txt` (captions, one a line), `000001.json`
 * (a record as beside a picture, `key` and `labels` included), or both. Pictures are read where they lie; other files are passed over.
 */
export async function webDatasetSource(paths: readonly string[]): Promise<PackSource> {
  const entries: SourceEntry[] = [];
  const refused: Refusal[] = [];
  for (const path of paths)
    for (const sample of samplesOf(await tarMembers(path))) {
      try {
        entries.push(await sampleEntry(path, sample));
      } catch (error) {
        refused.push({ file: `${path}#${sample.base}`, reason: messageOf(error) });
      }
    }
  return { origin: paths.join(', '), entries, refused };
}

/** Samples in the order of a shard. Only the first picture, text and record of a name count. */
function samplesOf(members: readonly TarMember[]): Sample[] {
  const samples = new Map<string, Sample>();
  for (const member of members) {
    const folder = dirname(member.name);
    const [name = '', ...endings] = basename(member.name).split('.');
    const base = folder === '.' ? name : `${folder}/${name}`;
    const part = partOf(endings.join('.').toLowerCase());
    if (part === undefined || name === '') continue;
    const sample = samples.get(base) ?? { base };
    samples.set(base, { [part]: member, ...sample });
  }
  return [...samples.values()];
}

function partOf(ending: string): 'picture' | 'text' | 'record' | undefined {
  if (ending === 'txt') return 'text';
  if (ending === 'json') return 'record';
  return isPicture(`x.${ending}`) ? 'picture' : undefined;
}

async function sampleEntry(path: string, { base, picture, text, record }: Sample): Promise<SourceEntry> {
  if (picture === undefined) throw new Error('no picture of this name');
  const fields = record ? parseFields(String(await readRange(path, record))) : {};
  const lines = text ? String(await readRange(path, text)).split('\n') : [];
  const { key, labels } = fields;
  return {
    key: typeof key === 'string' ? key : base,
    file: `${path}#${picture.name}`,
    captions: [...lines, ...captionsIn(fields)],
    captionFault: `no caption in a .txt or .json of ${base}`,
    ...(isLabels(labels) && { labels }),
    read: () => readRange(path, picture),
  };
}

const isLabels = (value: unknown): value is Readonly<Record<string, string>> =>
  typeof value === 'object' && value !== null && Object.values(value).every((label) => typeof label === 'string');

/** How to write shards. */
export interface WebDatasetOptions {
  /** Pictures a shard. Default 10,000. */
  shardSize?: number;
  /** Called after each picture. */
  onProgress?: (progress: { done: number; total: number }) => void;
  /** Stops writing with the signal's reason; whole shards stay. */
  signal?: AbortSignal;
}

/**
 * Writes a pack's pictures, bytes as they are, as WebDataset shards `<name>-000000.tar` on into a folder: each with its main caption in
 * `.txt` and all that is known of it in `.json`. A shard appears in one step when it is whole; none that is there is written over.
 * Resolves to the paths of the shards.
 */
export async function writeWebDataset(pack: Pack, folder: string, options: WebDatasetOptions = {}): Promise<string[]> {
  const { shardSize = 10_000, onProgress, signal } = options;
  check(
    Number.isInteger(shardSize) && shardSize > 0,
    () => `writeWebDataset: shardSize must be a whole number from 1, got ${shardSize}. Choose another.`,
  );
  await mkdir(folder, { recursive: true });
  const keys = pack.keys();
  const paths: string[] = [];
  for (let start = 0; start < keys.length; start += shardSize) {
    const path = join(folder, `${pack.name}-${String(paths.length).padStart(6, '0')}.tar`);
    await writeShard(path, async (file) => {
      for (const [i, key] of keys.slice(start, start + shardSize).entries()) {
        signal?.throwIfAborted();
        await file.write(sampleBlocks(start + i, key, pack.get(key)));
        onProgress?.({ done: start + i + 1, total: keys.length });
      }
    });
    paths.push(path);
  }
  return paths;
}

/** A sample's files are named by its place: keys may have dots, which would end a name. */
function sampleBlocks(index: number, key: string, { image, ...known }: PackedPicture): Buffer {
  const base = String(index).padStart(9, '0');
  const kind = known.mime.replace('image/', '');
  const ending = { jpeg: 'jpg', heif: 'avif' }[kind] ?? kind;
  return Buffer.concat([
    tarBlocks(`${base}.${ending}`, image),
    tarBlocks(`${base}.txt`, Buffer.from(known.captions[0] ?? '')),
    tarBlocks(`${base}.json`, Buffer.from(JSON.stringify({ key, ...known }))),
  ]);
}

async function writeShard(path: string, fill: (file: FileHandle) => Promise<void>): Promise<void> {
  const staged = `${path}.writing`;
  try {
    await refuseExisting(path);
    const file = await open(staged, 'w');
    try {
      await fill(file);
      await file.write(tarEnd);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(staged, path);
  } catch (error) {
    await rm(staged, { force: true });
    throw explainDiskFull(error, path);
  }
}

async function refuseExisting(path: string): Promise<void> {
  const found = await open(path, 'r').catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    return undefined;
  });
  await found?.close();
  check(
    found === undefined,
    () => `writeWebDataset: shards must not be there yet, got ${path}. Choose another folder, or remove them.`,
  );
}

import { rename, rm, writeFile } from 'node:fs/promises';
import { decodeSingleThreaded, inspectPicture } from './decode.ts';
import { codeOf, explainDiskFull, messageOf, PackError } from './errors.ts';
import { mapOrdered } from './parallel.ts';
import { MAX_KEY_BYTES, type PackRecord } from './schema.ts';
import { cleanCaptions, type PackSource, type Refusal, type SourceEntry } from './sources.ts';
import { toPng, type PngEncoding } from './transform.ts';
import { createPack, packName, synchronise, type PackWriter } from './writer.ts';

/** Where packing stands. */
export interface PackProgress {
  /** Pictures seen, refused ones included. */
  done: number;
  total: number;
  /** Bytes packed. */
  bytes: number;
  /** Pictures a second since the start. */
  rate: number;
}

/** How to pack. */
export interface PackOptions {
  /** Name of the data set. Default: the file's. */
  name?: string;
  /** `keep` the bytes as they are (default), or write them anew as PNG on white, optionally as squares of one size. */
  encode?: 'keep' | PngEncoding;
  /** Pictures decoded at a time. Default 2. */
  threads?: number;
  /** Called after each picture. */
  onProgress?: (progress: PackProgress) => void;
  /** Stops packing with the signal's reason; what was there before stays. */
  signal?: AbortSignal;
}

/** What came of packing. */
export interface PackReport {
  path: string;
  packed: number;
  /** Bytes of pictures. */
  bytes: number;
  refused: readonly Refusal[];
}

interface Prepared {
  key: string;
  record: PackRecord;
  image: Uint8Array;
}

/**
 * Packs a source into one LMDB file at `path`, with `<name>.json` (what it holds) and, when any picture was refused,
 * `<name>.refused.jsonl` beside it. A broken picture or a missing caption is listed and packing goes on.
 * The pack appears in one step at the end: a full disk, a kill or an empty source leave what was there before.
 */
export async function pack(source: PackSource, path: string, options: PackOptions = {}): Promise<PackReport> {
  if (source.entries.length === 0) throw nothingToPack(source.refused, path, source.origin);
  decodeSingleThreaded();
  const writer = await createPack(path, options.name ?? packName(path));
  try {
    const refused = [...source.refused, ...(await writeEntries(writer, source.entries, options))];
    const packed = source.entries.length + source.refused.length - refused.length;
    if (packed === 0) throw nothingToPack(refused, path, source.origin);
    const report = { path, packed, bytes: writer.bytes, refused };
    const summary = await stageSummary(report, options.name ?? packName(path));
    await writer.commit();
    await summary.publish();
    return report;
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function writeEntries(
  writer: PackWriter,
  entries: readonly SourceEntry[],
  options: PackOptions,
): Promise<Refusal[]> {
  const { encode = 'keep', threads = 2, onProgress, signal } = options;
  const refused: Refusal[] = [];
  const began = performance.now();
  let done = 0;
  for await (const outcome of mapOrdered(entries, threads, (entry) => prepare(entry, encode))) {
    signal?.throwIfAborted();
    const refusal = 'reason' in outcome ? outcome : write(writer, outcome);
    if (refusal !== undefined) refused.push(refusal);
    done += 1;
    const rate = (1000 * done) / Math.max(1, performance.now() - began);
    onProgress?.({ done, total: entries.length, bytes: writer.bytes, rate });
  }
  return refused;
}

function write(writer: PackWriter, { key, record, image }: Prepared): Refusal | undefined {
  if (writer.has(key)) return { file: record.source, reason: `another picture has the key ${key} already` };
  writer.put(key, record, image);
  return undefined;
}

async function prepare(entry: SourceEntry, encode: 'keep' | PngEncoding): Promise<Prepared | Refusal> {
  const captions = cleanCaptions(entry.captions);
  const source = entry.file;
  if (captions.length === 0) return { file: source, reason: entry.captionFault ?? 'no caption' };
  if (Buffer.byteLength(entry.key) > MAX_KEY_BYTES) return { file: source, reason: 'path too long for a key' };
  try {
    const image = await encoded(await entry.read(), encode);
    const info = await inspectPicture(image);
    return { key: entry.key, record: { captions, ...info, source, labels: entry.labels ?? {} }, image };
  } catch (error) {
    return { file: source, reason: reasonOf(error) };
  }
}

async function encoded(bytes: Uint8Array, encode: 'keep' | PngEncoding): Promise<Uint8Array> {
  return encode === 'keep' ? bytes : await toPng(bytes, encode);
}

function reasonOf(error: unknown): string {
  return codeOf(error) === 'ENOENT' ? 'no such picture' : `broken picture: ${oneLine(messageOf(error))}`;
}

/** Writes the files beside the pack under temporary names, so that a full disk shows before the pack is replaced. */
async function stageSummary(report: PackReport, name: string): Promise<{ publish: () => Promise<void> }> {
  const { path, packed, bytes, refused } = report;
  const stem = path.slice(0, -'.lmdb'.length);
  const lines = refused.map((refusal) => `${JSON.stringify(refusal)}\n`).join('');
  const holdings = { name, packed, bytes, refused: refused.length };
  const publishers = [
    await stage(`${stem}.json`, `${JSON.stringify(holdings, null, 2)}\n`),
    await stage(`${stem}.refused.jsonl`, lines),
  ];
  return { publish: async () => void (await Promise.all(publishers.map((publish) => publish()))) };
}

/** Writes a file beside its place and returns what moves it there; an empty text removes the file. */
async function stage(path: string, text: string): Promise<() => Promise<void>> {
  if (text === '') return () => rm(path, { force: true });
  const temporary = `${path}.tmp-${process.pid}`;
  try {
    await writeFile(temporary, text);
    await synchronise(temporary);
  } catch (error) {
    await rm(temporary, { force: true });
    throw explainDiskFull(error, path);
  }
  return () => rename(temporary, path);
}

function nothingToPack(refused: readonly Refusal[], path: string, origin: string): PackError {
  const first = refused[0];
  const why = first === undefined ? '' : ` (${refused.length} refused, the first: ${first.file}: ${first.reason})`;
  return new PackError(
    'empty',
    `pack: source must hold at least one picture with a caption, got none in ${origin}${why}. ` +
      'Put pictures there with a .txt or .json file of the same name beside each.',
    { path },
  );
}

const oneLine = (text: string): string => text.trim().replaceAll(/\s+/g, ' ');

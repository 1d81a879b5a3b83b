import { rename, rm, writeFile } from 'node:fs/promises';
import { cleanCaptions } from './captions.ts';
import { decodeSingleThreaded, inspectPicture, type PictureInfo } from './decode.ts';
import { codeOf, explainDiskFull, messageOf, PackError } from './errors.ts';
import { mapOrdered } from './parallel.ts';
import { MAX_KEY_BYTES, type PackRecord } from './schema.ts';
import type { PackSource, Refusal, SourceEntry } from './source.ts';
import { toPng, type PngEncoding } from './transform.ts';
import { createPack, packName, synchronise, temporaryPath, type PackWriter } from './writer.ts';

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
    await stageSummary(report, options.name ?? packName(path));
    await writer.commit();
    await publishSummary(report);
    return report;
  } catch (error) {
    await discardSummary(path);
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
    const { image, info } = await encoded(await entry.read(), encode);
    return { key: entry.key, record: { captions, ...info, source, labels: entry.labels ?? {} }, image };
  } catch (error) {
    return { file: source, reason: reasonOf(error) };
  }
}

async function encoded(
  bytes: Uint8Array,
  encode: 'keep' | PngEncoding,
): Promise<{ image: Uint8Array; info: PictureInfo }> {
  const info = await inspectPicture(bytes);
  if (encode === 'keep') return { image: bytes, info };
  const { size } = encode;
  const { width, height } = size === undefined ? info : { width: size, height: size };
  return { image: await toPng(bytes, encode), info: { width, height, mime: 'image/png' } };
}

function reasonOf(error: unknown): string {
  return codeOf(error) === 'ENOENT' ? 'no such picture' : `broken picture: ${messageOf(error)}`;
}

/** Files beside the pack: what it holds, and what was refused. */
const SUMMARY = '.json';
const REFUSED = '.refused.jsonl';

/** Writes the files beside the pack under temporary names, so that a full disk shows before the pack is replaced. */
async function stageSummary(report: PackReport, name: string): Promise<void> {
  const { path, packed, bytes, refused } = report;
  const holdings = { name, packed, bytes, refused: refused.length };
  await stage(path, SUMMARY, `${JSON.stringify(holdings, null, 2)}\n`);
  await stage(path, REFUSED, refused.map((refusal) => `${JSON.stringify(refusal)}\n`).join(''));
}

/** Moves the staged files to their places; nothing refused means no list of it. */
async function publishSummary({ path, refused }: PackReport): Promise<void> {
  const stem = path.slice(0, -'.lmdb'.length);
  await rename(stagedAt(path, SUMMARY), stem + SUMMARY);
  await rename(stagedAt(path, REFUSED), stem + REFUSED);
  if (refused.length === 0) await rm(stem + REFUSED);
}

async function discardSummary(path: string): Promise<void> {
  await Promise.all([SUMMARY, REFUSED].map((ending) => rm(stagedAt(path, ending), { force: true })));
}

async function stage(path: string, ending: string, text: string): Promise<void> {
  try {
    await writeFile(stagedAt(path, ending), text);
    await synchronise(stagedAt(path, ending));
  } catch (error) {
    throw explainDiskFull(error, path);
  }
}

const stagedAt = (path: string, ending: string): string => temporaryPath(path) + ending;

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

import { createHash } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { cleanCaptions } from './captions.ts';
import { decodeSingleThreaded, inspectPicture, type PictureInfo } from './decode.ts';
import { check, codeOf, explainDiskFull, messageOf, PackError } from './errors.ts';
import { faultOfKey, faultOfSize, fittingCaptions, type PackFilters } from './filters.ts';
import { mapOrdered } from './parallel.ts';
import { MAX_KEY_BYTES, type PackRecord } from './schema.ts';
import type { PackSource, Refusal, SourceEntry } from './source.ts';
import { toPng, type PngEncoding } from './transform.ts';
import { type LmdbWriter, openWriter, packName, synchronise } from './writer.ts';

/** Where packing stands. */
export interface PackProgress {
  /** Pictures seen, refused ones included. */
  done: number;
  total: number;
  /** How many of them an earlier packing that was stopped or killed had seen. */
  resumed: number;
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
  /** What is left out, beside what is broken or has no caption. */
  filters?: PackFilters;
  /** Pictures a file: a pack of more has further files in a folder beside it. Default 10,000. */
  shardSize?: number;
  /** Pictures decoded at a time. Default: one a core. */
  threads?: number;
  /** Called after each picture. */
  onProgress?: (progress: PackProgress) => void;
  /** Stops packing with the signal's reason; what was there before stays, and packing the same again goes on from there. */
  signal?: AbortSignal;
}

/** What came of packing. */
export interface PackReport {
  /** The pack: a file, or a folder of shards. */
  path: string;
  /** Pictures in it. */
  packed: number;
  /** Bytes of pictures. */
  bytes: number;
  /** What was left out, and why. */
  refused: readonly Refusal[];
}

interface Prepared {
  key: string;
  record: PackRecord;
  image: Uint8Array;
}

/**
 * Packs a source into an LMDB file at `path`, with `<name>.json` (what it holds) and, when any picture was refused,
 * `<name>.refused.jsonl` beside it. A broken picture or a missing caption is listed and packing goes on.
 * The pack appears in one step at the end: a full disk, a kill or an empty source leave what was there before. After a full disk, a kill
 * or an abort the same source and options go on where packing was; files of pictures must not change meanwhile.
 */
export async function pack(source: PackSource, path: string, options: PackOptions = {}): Promise<PackReport> {
  const { name = packName(path), shardSize = 10_000 } = options;
  check(
    Number.isInteger(shardSize) && shardSize > 0,
    () => `pack: shardSize must be a whole number from 1, got ${shardSize}. Choose another.`,
  );
  if (source.entries.length === 0) throw nothingToPack(source.refused, path, source.origin);
  decodeSingleThreaded();
  const writer = await openWriter(path, { name, job: identityOf(source, options), shardSize });
  try {
    await writeEntries(writer, source.entries, options);
    const refused = [...source.refused, ...writer.refused];
    if (writer.size === 0) throw nothingToPack(refused, path, source.origin);
    const report = { path, packed: writer.size, bytes: writer.bytes, refused };
    await stageSummary(report, name, writer.folder);
    await writer.commit(() => publishSummary(report, writer.folder));
    return report;
  } catch (error) {
    await (error instanceof PackError && error.kind === 'empty' ? writer.abort() : writer.suspend());
    throw error;
  }
}

/** Tells a source and all options that decide what the pack will hold from others. */
function identityOf({ entries }: PackSource, { name, encode, shardSize, filters = {} }: PackOptions): string {
  const hash = createHash('sha256');
  for (const { key, file, captions, labels } of entries) hash.update(JSON.stringify([key, file, captions, labels]));
  const sets = [filters.keys ?? [], filters.exceptKeys ?? [], filters.score?.of ?? []].map((set) => [...set]);
  hash.update(JSON.stringify([name, encode, shardSize, filters, filters.score?.least, sets]));
  return hash.digest('hex');
}

async function writeEntries(writer: LmdbWriter, entries: readonly SourceEntry[], options: PackOptions): Promise<void> {
  const { threads = availableParallelism(), onProgress, signal } = options;
  const resumed = writer.done;
  const began = performance.now();
  for await (const outcome of mapOrdered(entries.slice(resumed), threads, (entry) => prepare(entry, options))) {
    signal?.throwIfAborted();
    writer.deal(isTwice(writer, outcome) ?? outcome);
    const { done, bytes } = writer;
    const rate = (1000 * (done - resumed)) / Math.max(1, performance.now() - began);
    onProgress?.({ done, total: entries.length, resumed, bytes, rate });
  }
}

function isTwice(writer: LmdbWriter, outcome: Prepared | Refusal): Refusal | undefined {
  if ('reason' in outcome || !writer.has(outcome.key)) return undefined;
  return { file: outcome.record.source, reason: `another picture has the key ${outcome.key} already` };
}

async function prepare(
  entry: SourceEntry,
  { encode = 'keep', filters = {} }: PackOptions,
): Promise<Prepared | Refusal> {
  const file = entry.file;
  const refuse = (reason: string): Refusal => ({ file, reason });
  const all = cleanCaptions(entry.captions);
  const captions = fittingCaptions(all, filters);
  if (all.length === 0) return refuse(entry.captionFault ?? 'no caption');
  if (captions.length === 0) return refuse(`none of its ${all.length} captions has a length that is wanted`);
  if (Buffer.byteLength(entry.key) > MAX_KEY_BYTES) return refuse('path too long for a key');
  const unwanted = faultOfKey(entry, filters);
  if (unwanted !== undefined) return refuse(unwanted);
  try {
    const bytes = await entry.read();
    const original = await inspectPicture(bytes);
    const unfit = faultOfSize(original, filters);
    if (unfit !== undefined) return refuse(unfit);
    const { image, info } =
      encode === 'keep' ? { image: bytes, info: original } : await encoded(bytes, original, encode);
    return { key: entry.key, record: { captions, ...info, source: file, labels: entry.labels ?? {} }, image };
  } catch (error) {
    return refuse(reasonOf(error));
  }
}

async function encoded(
  bytes: Uint8Array,
  original: PictureInfo,
  encode: PngEncoding,
): Promise<{ image: Uint8Array; info: PictureInfo }> {
  const { size } = encode;
  const { width, height } = size === undefined ? original : { width: size, height: size };
  return { image: await toPng(bytes, encode), info: { width, height, mime: 'image/png' } };
}

function reasonOf(error: unknown): string {
  return codeOf(error) === 'ENOENT' ? 'no such picture' : `broken picture: ${messageOf(error)}`;
}

/** Files beside the pack: what it holds, and what was refused. */
const SUMMARY = '.json';
const REFUSED = '.refused.jsonl';

/** Writes the files beside the pack into a folder, so that a full disk shows before the pack is replaced. */
async function stageSummary(report: PackReport, name: string, folder: string): Promise<void> {
  const { path, packed, bytes, refused } = report;
  const holdings = { name, packed, bytes, refused: refused.length };
  try {
    await writeThrough(join(folder, SUMMARY), `${JSON.stringify(holdings, null, 2)}\n`);
    await writeThrough(join(folder, REFUSED), refused.map((refusal) => `${JSON.stringify(refusal)}\n`).join(''));
  } catch (error) {
    throw explainDiskFull(error, path);
  }
}

async function writeThrough(file: string, text: string): Promise<void> {
  await writeFile(file, text);
  await synchronise(file);
}

/** Moves the staged files to their places; nothing refused means no list of it. */
async function publishSummary({ path, refused }: PackReport, folder: string): Promise<void> {
  const stem = path.slice(0, -'.lmdb'.length);
  await rename(join(folder, SUMMARY), stem + SUMMARY);
  await rename(join(folder, REFUSED), stem + REFUSED);
  if (refused.length === 0) await rm(stem + REFUSED);
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

import { setImmediate } from 'node:timers/promises';
import { inspectPicture } from './decode.ts';
import { messageOf } from './errors.ts';
import { checksum, pictureChecksum } from './part-writer.ts';
import { openParts, type PackPart } from './reader.ts';

/** Something in a pack that is not as it was written. */
export interface PackFault {
  /** The file of the pack. */
  file: string;
  /** The pair's key, or `kind of key` for an array. */
  key: string;
  reason: string;
}

/** What came of a check. */
export interface VerifyReport {
  path: string;
  pictures: number;
  arrays: number;
  /** Pictures without a checksum, of packs that were made before there were any: they were decoded instead. */
  decoded: number;
  faults: readonly PackFault[];
}

/** How to check. */
export interface VerifyOptions {
  /** Called before each picture or array with its key. */
  onProgress?: (progress: { done: number; total: number; key: string }) => void;
  /** Stops with the signal's reason. */
  signal?: AbortSignal;
}

/** Reads all of a pack and compares it with the checksums that were written with it: every pair that changed, is missing or was added is named. */
export async function verifyPack(path: string, { onProgress, signal }: VerifyOptions = {}): Promise<VerifyReport> {
  const { header, parts } = await openParts(path);
  const counts = { pictures: 0, arrays: 0, decoded: 0 };
  const faults: PackFault[] = [];
  try {
    const total = parts.reduce((sum, { records, arrays }) => sum + records.getKeysCount() + arrays.getKeysCount(), 0);
    let done = 0;
    for (const part of parts)
      for (const { key, kind, check } of checksOf(part)) {
        onProgress?.({ done: done++, total, key });
        // Now and then others may run, so that an interrupt comes through.
        if (done % PAUSE === 0) await setImmediate();
        signal?.throwIfAborted();
        counts[kind] += 1;
        if (kind === 'decoded') counts.pictures += 1;
        const reason = await check();
        if (reason !== undefined) faults.push({ file: part.path, key, reason });
      }
    if (counts.pictures !== header.pictures)
      faults.push({ file: path, key: '', reason: `${counts.pictures} pictures instead of ${header.pictures}` });
    return { path, ...counts, faults };
  } finally {
    for (const part of parts) await part.close();
  }
}

const PAUSE = 64;

interface Check {
  key: string;
  kind: 'pictures' | 'arrays' | 'decoded';
  /** What is wrong, if anything is. */
  check: () => string | undefined | Promise<string | undefined>;
}

function* checksOf(part: PackPart): Generator<Check, void, undefined> {
  const { checksums, records } = part;
  if (checksums === undefined) {
    for (const key of records.getKeys()) yield { key, kind: 'decoded', check: () => faultByDecoding(part, key) };
    return;
  }
  for (const { key, value } of checksums.getRange())
    yield typeof key === 'string'
      ? { key, kind: 'pictures', check: () => pictureFault(part, key, value) }
      : { key: key.join(' of '), kind: 'arrays', check: () => arrayFault(part, key, value) };
  for (const key of records.getKeys())
    if (!checksums.doesExist(key)) yield { key, kind: 'pictures', check: () => 'it has no checksum' };
}

function pictureFault({ records, images }: PackPart, key: string, expected: Buffer): string | undefined {
  const [record, image] = [records.getBinary(key), images.getBinary(key)];
  if (record === undefined || image === undefined)
    return `its ${record === undefined ? 'record' : 'picture'} is missing`;
  return pictureChecksum(record, image).equals(expected) ? undefined : CHANGED;
}

function arrayFault({ arrays }: PackPart, key: string[], expected: Buffer): string | undefined {
  const array = arrays.getBinary(key);
  if (array === undefined) return 'it is missing';
  return checksum(array).equals(expected) ? undefined : CHANGED;
}

const CHANGED = 'its bytes are not those that were packed';

async function faultByDecoding({ images }: PackPart, key: string): Promise<string | undefined> {
  try {
    await inspectPicture(images.getBinary(key) ?? new Uint8Array());
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

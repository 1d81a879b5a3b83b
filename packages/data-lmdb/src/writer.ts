import { randomUUID } from 'node:crypto';
import { open as openFile, rename, rm, truncate } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { check, explainDiskFull } from './errors.ts';
import { exists } from './files.ts';
import { type Job, openJob } from './job.ts';
import { sizes } from './lmdb-file.ts';
import { PartWriter } from './part-writer.ts';
import { partsFolder } from './reader.ts';
import {
  FORMAT,
  MAX_KEY_BYTES,
  type PackHeader,
  type PackRecord,
  type StoredArray,
  VERSION,
  VERSION_OF_PARTS,
} from './schema.ts';
import type { Refusal } from './source.ts';

/** Bytes gathered before they are written in one transaction. */
const TRANSACTION_BYTES = 8 * 2 ** 20;
/** Milliseconds after which they are written however few they are: more is never lost by a kill. */
const TRANSACTION_TIME = 1000;

/** Writes a pack beside its final place; nothing at that place changes before `commit`. */
export interface PackWriter {
  /** Adds a picture with its captions. Refuses a key that is there already. */
  put(key: string, record: PackRecord, image: Uint8Array): void;
  /** Adds a precomputed array, such as image tokens, under a kind of the caller's choice; one that is there already is replaced. */
  putArray(kind: string, key: string, array: StoredArray): void;
  /** Whether a picture of that key was added. */
  has(key: string): boolean;
  /** Whether an array of that kind and key was written, by this writer or one that it goes on from. */
  hasArray(kind: string, key: string): boolean;
  /** Bytes handed over so far. */
  readonly bytes: number;
  /** Flushes all to the disk and puts the pack in its place in one step. Resolves to its header. */
  commit(): Promise<PackHeader>;
  /** Ends the writing for now: a writer of the same job goes on with it. What was at the place before stays. */
  suspend(): Promise<void>;
  /** Removes all traces; what was at the place before stays. */
  abort(): Promise<void>;
}

/** How to write a pack. */
export interface WriterOptions {
  /** Name of the data set. Default: the file's. */
  name?: string;
  /** All that decides what the pack will hold: a writer of the same job goes on with what a suspended or killed one left. Default: none goes on. */
  job?: string;
}

/** Begins a pack that will stand at `path` (a name ending in `.lmdb`), or goes on with it. */
export async function createPack(path: string, options: WriterOptions = {}): Promise<PackWriter> {
  return await openWriter(path, options);
}

/** A writer that deals with the entries of a source one after the other, and begins a new file where one is full. */
export async function openWriter(
  path: string,
  { name = packName(path), job = randomUUID(), shardSize = Infinity }: WriterOptions & { shardSize?: number },
): Promise<LmdbWriter> {
  check(path.endsWith('.lmdb'), () => `pack: path must end in .lmdb, got ${path}. Add the ending.`);
  const live = await partsFolder(path);
  const opened = await openJob(path, { identity: job, live }).catch((error: unknown) => {
    throw explainDiskFull(error, path);
  });
  const writer = new LmdbWriter({ path, name, job: opened, shardSize, live });
  try {
    await writer.restore();
    return writer;
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** The name of the data set that a pack's path suggests. */
export const packName = (path: string): string => basename(path, '.lmdb');

interface Place {
  path: string;
  name: string;
  job: Job;
  /** Pictures a file. */
  shardSize: number;
  /** The folder that the pack at the place keeps files in. */
  live: string | undefined;
}

/** Writes the files of a pack. */
export class LmdbWriter implements PackWriter {
  /** Entries of the source that are dealt with. */
  done = 0;
  bytes = 0;
  /** What was refused of the source's entries, in their order. */
  readonly refused: Refusal[] = [];
  private readonly place: Place;
  private readonly keys = new Set<string>();
  private readonly closing: Promise<void>[] = [];
  private part: PartWriter | undefined;
  private index = 0;
  /** Entries that were dealt with before the open file. */
  private from = 0;
  private waiting: ((part: PartWriter) => void)[] = [];
  private waitingBytes = 0;
  private flushedAt = performance.now();
  private failed = false;

  constructor(place: Place) {
    this.place = place;
  }

  /** Pictures so far. */
  get size(): number {
    return this.keys.size;
  }

  /** The folder for whatever else appears together with the pack. */
  get folder(): string {
    return this.place.job.folder;
  }

  /** Opens the files that an earlier writer of the job left. One that a power cut damaged is begun anew, without those behind it. */
  async restore(): Promise<void> {
    while (await this.restoreNext()) this.index += 1;
    for (let index = this.index; await exists(this.place.job.file(index)); index++)
      await removeDatabase(this.place.job.file(index));
    this.index = Math.max(0, this.index - 1);
    if (this.part === undefined) this.open();
  }

  has(key: string): boolean {
    return this.keys.has(key);
  }

  hasArray(kind: string, key: string): boolean {
    return this.current.hasArray(kind, key);
  }

  put(key: string, record: PackRecord, image: Uint8Array): void {
    this.add(key, record, image);
    this.flushNowAndThen();
  }

  putArray(kind: string, key: string, array: StoredArray): void {
    checkKey(kind);
    checkKey(key);
    this.enqueue(array.data.byteLength, (part) => part.putArray(kind, key, array));
    this.flushNowAndThen();
  }

  /** Deals with the next entry of the source: the picture or the refusal and the fact that it is done are written together. */
  deal(outcome: { key: string; record: PackRecord; image: Uint8Array } | Refusal): void {
    if ('reason' in outcome) {
      const entry = this.done;
      this.refused.push(outcome);
      this.enqueue(0, (part) => part.putRefusal(entry, outcome));
    } else this.add(outcome.key, outcome.record, outcome.image);
    this.done += 1;
    this.flushNowAndThen();
  }

  /** Publishes what goes along with the pack as soon as that is in its place. */
  async commit(publish: () => Promise<void> = async () => undefined): Promise<PackHeader> {
    const { path, job, live } = this.place;
    const files = this.index + 1;
    if (files > 1) await this.returnToFirst();
    const header = this.headerOf(this.size, files);
    this.enqueue(0, (part) => part.putHeader(header));
    this.flush();
    await this.close();
    await this.moveIntoPlace(files).catch((error: unknown) => {
      throw explainDiskFull(error, path);
    });
    await publish();
    await (files === 1 ? job.remove() : job.settle());
    if (live !== undefined && live !== job.folder) await rm(live, { recursive: true, force: true });
    return header;
  }

  async suspend(): Promise<void> {
    try {
      if (!this.failed) this.flush();
    } finally {
      await this.close();
      await this.place.job.release();
    }
  }

  async abort(): Promise<void> {
    await this.close();
    await this.place.job.remove();
  }

  /** Takes over what the file at the present index holds; false where it is not there, or no continuation of the one before. */
  private async restoreNext(): Promise<boolean> {
    const file = this.place.job.file(this.index);
    if (!(await exists(file))) return false;
    const part = await fillUp(file)
      .then(() => new PartWriter(file))
      .catch(() => undefined);
    const standing = part?.standing();
    if (part === undefined || standing?.from !== this.done) {
      await part?.close();
      return false;
    }
    await this.part?.close();
    this.part = part;
    for (const key of part.keys()) this.keys.add(key);
    this.refused.push(...part.refused());
    [this.from, this.done, this.bytes] = [standing.from, standing.done, standing.bytes];
    return true;
  }

  private get current(): PartWriter {
    return this.part as PartWriter;
  }

  private add(key: string, record: PackRecord, image: Uint8Array): void {
    checkKey(key);
    check(!this.has(key), () => `put: key must be new, got ${key} a second time. Give each picture its own key.`);
    if (this.current.pictures >= this.place.shardSize) this.beginNext();
    this.keys.add(key);
    this.current.pictures += 1;
    this.enqueue(image.length, (part) => part.putPicture(key, record, image));
  }

  private beginNext(): void {
    this.endCurrent();
    this.closing.push(this.current.close());
    this.index += 1;
    this.open();
  }

  /** The first file is the pack, and its header lists the others. */
  private async returnToFirst(): Promise<void> {
    this.endCurrent();
    await this.close();
    this.index = 0;
    this.open();
  }

  private endCurrent(): void {
    const header = this.headerOf(this.current.pictures, 1);
    this.enqueue(0, (part) => part.putHeader(header));
    this.flush();
  }

  private open(): void {
    this.part = this.guard(() => new PartWriter(this.place.job.file(this.index)));
    this.from = this.done;
  }

  private headerOf(pictures: number, files: number): PackHeader {
    const { name, job } = this.place;
    const header = { format: FORMAT, version: files === 1 ? VERSION : VERSION_OF_PARTS, name, pictures } as const;
    if (files === 1) return header;
    const parts = Array.from({ length: files - 1 }, (_, i) => `${basename(job.folder)}/${basename(job.file(i + 1))}`);
    return { ...header, parts };
  }

  private async moveIntoPlace(files: number): Promise<void> {
    const { path, job } = this.place;
    for (let index = 0; index < files; index++) {
      await fillUp(job.file(index));
      await synchronise(job.file(index));
    }
    await rename(job.file(0), path);
    await rm(`${job.file(0)}-lock`, { force: true });
    await synchronise(dirname(path));
  }

  private enqueue(bytes: number, put: (part: PartWriter) => void): void {
    this.waiting.push(put);
    this.waitingBytes += bytes;
    this.bytes += bytes;
  }

  private flushNowAndThen(): void {
    const isTime = performance.now() - this.flushedAt >= TRANSACTION_TIME;
    if (isTime || this.waitingBytes >= TRANSACTION_BYTES) this.flush();
  }

  /** Writes all that waits, and how far that is, in one transaction. After a failure nothing more is written. */
  private flush(): void {
    const { current: part, waiting: puts, from, done, bytes } = this;
    this.waiting = [];
    this.waitingBytes = 0;
    this.failed = true;
    this.guard(() =>
      part.transaction(() => {
        for (const put of puts) put(part);
        part.putStanding({ from, done, bytes });
      }),
    );
    this.failed = false;
    this.flushedAt = performance.now();
  }

  private async close(): Promise<void> {
    await Promise.all([...this.closing.splice(0), this.part?.close()]);
    this.part = undefined;
  }

  private guard<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw explainDiskFull(error, this.place.path);
    }
  }
}

/** Pages that were allocated last need not have been written: they hold nothing, but readers want a whole file. */
async function fillUp(file: string): Promise<void> {
  const { actual, claimed } = await sizes(file);
  if (actual < claimed) await truncate(file, claimed);
}

/** Forces a file, or the entries of a folder, to the disk. */
export async function synchronise(path: string): Promise<void> {
  const handle = await openFile(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeDatabase(file: string): Promise<void> {
  await rm(file, { force: true });
  await rm(`${file}-lock`, { force: true });
}

function checkKey(key: string): void {
  const length = Buffer.byteLength(key);
  check(
    length > 0 && length <= MAX_KEY_BYTES,
    () => `put: key must have 1..${MAX_KEY_BYTES} bytes, got ${length} in ${key.slice(0, 40)}. Choose a shorter key.`,
  );
}

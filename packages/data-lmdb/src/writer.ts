import { open as openFile, readdir, rename, rm, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { check, codeOf, explainDiskFull, PackError } from './errors.ts';
import { sizes } from './lmdb-file.ts';
import {
  encodeArray,
  FORMAT,
  LAYOUT,
  MAX_KEY_BYTES,
  VERSION,
  type PackHeader,
  type PackRecord,
  type StoredArray,
} from './schema.ts';

/** Bytes gathered before they are written in one transaction. */
const TRANSACTION_BYTES = 8 * 2 ** 20;

/** Writes a pack beside its final place; nothing at that place changes before `commit`. */
export interface PackWriter {
  /** Adds a picture with its captions. Refuses a key that is there already. */
  put(key: string, record: PackRecord, image: Uint8Array): void;
  /** Adds a precomputed array, such as image tokens, under a kind of the caller's choice. */
  putArray(kind: string, key: string, array: StoredArray): void;
  /** Whether a picture of that key was added. */
  has(key: string): boolean;
  /** Bytes handed over so far. */
  readonly bytes: number;
  /** Flushes all to the disk and puts the pack in its place in one step. Resolves to its header. */
  commit(): Promise<PackHeader>;
  /** Removes all traces; what was at the place before stays. */
  abort(): Promise<void>;
}

/** Begins a pack that will stand at `path` (a name ending in `.lmdb`). */
export async function createPack(path: string, name: string = packName(path)): Promise<PackWriter> {
  check(path.endsWith('.lmdb'), () => `pack: path must end in .lmdb, got ${path}. Add the ending.`);
  await removeAbandoned(path);
  const temporary = temporaryPath(path);
  try {
    return new LmdbWriter({ path, name, temporary });
  } catch (error) {
    await removePair(temporary);
    throw error;
  }
}

/** The name of the data set that a pack's path suggests. */
export function packName(path: string): string {
  return basename(path, '.lmdb');
}

/** Where this process writes what will stand at `path`; a later packer knows by the name whose it was. */
export function temporaryPath(path: string): string {
  return `${path}.tmp-${process.pid}`;
}

type Put = () => void;

class LmdbWriter implements PackWriter {
  readonly path: string;
  readonly name: string;
  readonly temporary: string;
  readonly root: RootDatabase<Buffer, string>;
  readonly records: Database<PackRecord, string>;
  readonly images: Database<Buffer, string>;
  readonly arrays: Database<Buffer, string[]>;
  readonly keys: Set<string> = new Set();
  waiting: Put[] = [];
  waitingBytes = 0;
  bytes = 0;

  constructor({ path, name, temporary }: { path: string; name: string; temporary: string }) {
    this.path = path;
    this.name = name;
    this.temporary = temporary;
    // Durability matters once, at the rename: until then nothing is synchronised.
    this.root = this.guard(() =>
      open({ path: this.temporary, noSubdir: true, noSync: true, maxDbs: 8, encoding: 'binary' }),
    );
    this.records = this.guard(() => this.root.openDB(LAYOUT.records, { encoding: 'json' }));
    this.images = this.guard(() => this.root.openDB(LAYOUT.images, { encoding: 'binary' }));
    this.arrays = this.guard(() => this.root.openDB(LAYOUT.arrays, { encoding: 'binary' }));
  }

  has(key: string): boolean {
    return this.keys.has(key);
  }

  put(key: string, record: PackRecord, image: Uint8Array): void {
    checkKey(key);
    check(!this.has(key), () => `put: key must be new, got ${key} a second time. Give each picture its own key.`);
    this.keys.add(key);
    this.enqueue(image.length, () => {
      this.records.putSync(key, record);
      this.images.putSync(key, asBuffer(image));
    });
  }

  putArray(kind: string, key: string, array: StoredArray): void {
    checkKey(kind);
    checkKey(key);
    const bytes = encodeArray(array);
    this.enqueue(bytes.length, () => this.arrays.putSync([kind, key], asBuffer(bytes)));
  }

  async commit(): Promise<PackHeader> {
    const header: PackHeader = { format: FORMAT, version: VERSION, name: this.name, pictures: this.keys.size };
    this.enqueue(0, () => this.root.putSync(LAYOUT.header, Buffer.from(JSON.stringify(header))));
    this.flush();
    await this.root.close();
    await this.moveIntoPlace().catch((error: unknown) => {
      throw explainDiskFull(error, this.path);
    });
    return header;
  }

  async abort(): Promise<void> {
    await this.root.close();
    await removePair(this.temporary);
  }

  private async moveIntoPlace(): Promise<void> {
    const { actual, claimed } = await sizes(this.temporary);
    if (actual < claimed) await truncate(this.temporary, claimed);
    await synchronise(this.temporary);
    await rename(this.temporary, this.path);
    await removePair(this.temporary);
    await synchronise(dirname(this.path));
  }

  private enqueue(bytes: number, put: Put): void {
    this.waiting.push(put);
    this.waitingBytes += bytes;
    this.bytes += bytes;
    if (this.waitingBytes >= TRANSACTION_BYTES) this.flush();
  }

  private flush(): void {
    const puts = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    this.guard(() => this.root.transactionSync(() => puts.forEach((put) => put())));
  }

  private guard<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw explainDiskFull(error, this.path);
    }
  }
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

/** Removes what packers of this path left that were killed; one that still runs keeps its file. */
async function removeAbandoned(path: string): Promise<void> {
  const prefix = `${basename(path)}.tmp-`;
  const names = await readdir(dirname(path)).catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? noFolder(path) : error;
  });
  const abandoned = names.filter(
    (name) => name.startsWith(prefix) && !isAlive(Number.parseInt(name.slice(prefix.length), 10)),
  );
  await Promise.all(abandoned.map((name) => rm(join(dirname(path), name), { force: true })));
}

function noFolder(path: string): PackError {
  return new PackError('missing', `pack: folder of the pack must exist, got none at ${dirname(path)}. Make it first.`, {
    path,
  });
}

function isAlive(processId: number): boolean {
  if (processId === process.pid) return false;
  try {
    return process.kill(processId, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

async function removePair(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(`${path}-lock`, { force: true });
}

function checkKey(key: string): void {
  const length = Buffer.byteLength(key);
  check(
    length > 0 && length <= MAX_KEY_BYTES,
    () => `put: key must have 1..${MAX_KEY_BYTES} bytes, got ${length} in ${key.slice(0, 40)}. Choose a shorter key.`,
  );
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

import { mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { codeOf, PackError } from './errors.ts';
import { checkLmdbFile } from './lmdb-file.ts';
import { decodeArray, LAYOUT, parseHeader, type PackRecord, type StoredArray } from './schema.ts';

/** One picture with all that is known of it. */
export interface PackedPicture extends PackRecord {
  /** Encoded bytes as they were packed. */
  image: Uint8Array;
}

/** A pack open for reading. */
export interface Pack {
  readonly path: string;
  /** Name of the data set. */
  readonly name: string;
  /** How many pictures it holds. */
  readonly size: number;
  /** Keys of the pictures, sorted. */
  keys(): string[];
  has(key: string): boolean;
  /** The picture under a key; throws a PackError of kind `missing` for an unknown key. */
  get(key: string): PackedPicture;
  /** What is known of a picture, without reading its bytes. */
  record(key: string): PackRecord;
  /** Keys of the arrays of one kind, sorted. */
  arrayKeys(kind: string): string[];
  /** The array stored under a kind and a key; throws a PackError of kind `missing` for an unknown one. */
  getArray(kind: string, key: string): StoredArray;
  close(): Promise<void>;
}

/**
 * Opens a pack for reading. A file that is no pack of ours, of another version, or of LMDB data format 1 is refused
 * before the lmdb library sees it.
 */
export async function openPack(path: string): Promise<Pack> {
  await checkLmdbFile(path);
  const root = await openEnvironment(path);
  try {
    const header = parseHeader(root.get(LAYOUT.header), path);
    return new LmdbPack(path, root, header.name);
  } catch (error) {
    await root.close();
    throw error;
  }
}

class LmdbPack implements Pack {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  readonly root: RootDatabase<Buffer, string>;
  readonly records: Database<PackRecord, string>;
  readonly images: Database<Buffer, string>;
  readonly arrays: Database<Buffer, string[]>;

  constructor(path: string, root: RootDatabase<Buffer, string>, name: string) {
    this.path = path;
    this.name = name;
    this.root = root;
    this.records = root.openDB(LAYOUT.records, { encoding: 'json' });
    this.images = root.openDB(LAYOUT.images, { encoding: 'binary' });
    this.arrays = root.openDB(LAYOUT.arrays, { encoding: 'binary' });
    this.size = this.records.getKeysCount();
  }

  keys(): string[] {
    return [...this.records.getKeys()];
  }

  has(key: string): boolean {
    return this.records.doesExist(key);
  }

  get(key: string): PackedPicture {
    return { ...this.record(key), image: this.found(this.images.getBinary(key), key) };
  }

  record(key: string): PackRecord {
    return this.found(this.records.get(key), key);
  }

  arrayKeys(kind: string): string[] {
    return [...this.arrays.getKeys({ start: [kind], end: [kind, '\u{10ffff}'] })].map((key) => key[1] as string);
  }

  getArray(kind: string, key: string): StoredArray {
    return decodeArray(this.found(this.arrays.getBinary([kind, key]), `${kind} of ${key}`));
  }

  async close(): Promise<void> {
    await this.root.close();
  }

  private found<Value>(value: Value | undefined, key: string): Value {
    if (value !== undefined) return value;
    throw new PackError('missing', `get: key must be in the pack, got ${key} for ${this.path}. See keys().`, {
      path: this.path,
    });
  }
}

async function openEnvironment(path: string): Promise<RootDatabase<Buffer, string>> {
  try {
    return openReadOnly(path);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return await openThroughLink(path);
  }
}

/** LMDB puts a lock file beside the pack. Where it must not, a link in the temporary folder takes the lock instead. */
async function openThroughLink(path: string): Promise<RootDatabase<Buffer, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'star-pack-'));
  try {
    const link = join(folder, 'pack.lmdb');
    await symlink(await realpath(path), link);
    return openReadOnly(link);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function openReadOnly(path: string): RootDatabase<Buffer, string> {
  return open({ path, noSubdir: true, readOnly: true, maxDbs: 8, encoding: 'binary' });
}

/** EPERM, EACCES or EROFS. */
function isForbidden(error: unknown): boolean {
  return [1, 13, 30].includes(codeOf(error) as number);
}

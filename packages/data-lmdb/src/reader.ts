import { createHash } from 'node:crypto';
import { access, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { codeOf, PackError } from './errors.ts';
import { checkLmdbFile } from './lmdb-file.ts';
import { decodeArray, LAYOUT, type PackHeader, parseHeader, type PackRecord, type StoredArray } from './schema.ts';

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
  /** Whether the pack holds a picture under a key. */
  has(key: string): boolean;
  /** The picture under a key; throws a PackError of kind `missing` for an unknown key. */
  get(key: string): PackedPicture;
  /** What is known of a picture, without reading its bytes. */
  record(key: string): PackRecord;
  /** Keys of the arrays of one kind, sorted. */
  arrayKeys(kind: string): string[];
  /** The array stored under a kind and a key; throws a PackError of kind `missing` for an unknown one. */
  getArray(kind: string, key: string): StoredArray;
  /**
   * SHA-256, in hex, that tells these pictures with their captions and labels from all others, by default all of the pack. It is made of
   * the checksums of packing, so pictures are not read; their order and how they are spread over files make no difference.
   */
  digest(keys?: Iterable<string>): string;
  /** Closes all files of the pack; nothing can be read afterwards. */
  close(): Promise<void>;
}

/**
 * Opens a pack for reading, all its files. A file that is no pack of ours, of another version, or of LMDB data format 1 is refused
 * before the lmdb library sees it.
 */
export async function openPack(path: string): Promise<Pack> {
  const { header, parts } = await openParts(path);
  return new LmdbPack(path, header.name, parts);
}

/** The open files of a pack, the first with its header. */
export async function openParts(path: string): Promise<{ header: PackHeader; parts: PackPart[] }> {
  const first = await PackPart.open(path);
  const parts = [first];
  try {
    const header = first.header();
    for (const file of await partFiles(path, header)) {
      await explainAbsent(file, header);
      parts.push(await PackPart.open(file));
    }
    return { header, parts };
  } catch (error) {
    for (const part of parts) await part.close();
    throw error;
  }
}

/** The folder that the pack at a path keeps its further files in; none where there is no such pack. */
export async function partsFolder(path: string): Promise<string | undefined> {
  const first = await PackPart.open(path).catch(() => undefined);
  if (first === undefined) return undefined;
  try {
    const [file] = first.isPack() ? await partFiles(path, first.header()) : [];
    return file === undefined ? undefined : dirname(file);
  } finally {
    await first.close();
  }
}

/** A link to a pack has its further files where the pack is. */
async function partFiles(path: string, { parts = [] }: PackHeader): Promise<string[]> {
  if (parts.length === 0) return [];
  const folder = dirname(await realpath(path));
  return parts.map((part) => join(folder, part));
}

async function explainAbsent(file: string, { parts = [] }: PackHeader): Promise<void> {
  await access(file).catch((cause: unknown) => {
    throw new PackError(
      'missing',
      `openPack: pack must have all of its ${parts.length + 1} files, got none at ${file}. Copy the folder ${dirname(file)} too.`,
      { path: file, cause },
    );
  });
}

/** One file of a pack, open for reading. */
export class PackPart {
  readonly path: string;
  readonly records: Database<PackRecord, string>;
  readonly images: Database<Buffer, string>;
  readonly arrays: Database<Buffer, string[]>;
  /** None in packs of before there were any. */
  readonly checksums: Database<Buffer, string | string[]> | undefined;
  private readonly root: RootDatabase<Buffer, string>;

  private constructor(path: string, root: RootDatabase<Buffer, string>) {
    this.path = path;
    this.root = root;
    this.records = root.openDB(LAYOUT.records, { encoding: 'json' });
    this.images = root.openDB(LAYOUT.images, { encoding: 'binary' });
    this.arrays = root.openDB(LAYOUT.arrays, { encoding: 'binary' });
    this.checksums = root.openDB(LAYOUT.checksums, { encoding: 'binary' });
  }

  static async open(path: string): Promise<PackPart> {
    await checkLmdbFile(path);
    return new PackPart(path, await openEnvironment(path));
  }

  isPack(): boolean {
    return this.root.doesExist(LAYOUT.header);
  }

  header(): PackHeader {
    return parseHeader(this.root.get(LAYOUT.header), this.path);
  }

  async close(): Promise<void> {
    await this.root.close();
  }
}

class LmdbPack implements Pack {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  private readonly parts: readonly PackPart[];

  constructor(path: string, name: string, parts: readonly PackPart[]) {
    this.path = path;
    this.name = name;
    this.parts = parts;
    this.size = parts.reduce((sum, { records }) => sum + records.getKeysCount(), 0);
  }

  keys(): string[] {
    const keys = this.parts.flatMap(({ records }) => [...records.getKeys()]);
    return this.parts.length === 1 ? keys : keys.toSorted();
  }

  has(key: string): boolean {
    return this.parts.some(({ records }) => records.doesExist(key));
  }

  get(key: string): PackedPicture {
    return { ...this.record(key), image: this.found(key, ({ images }) => images.getBinary(key)) };
  }

  record(key: string): PackRecord {
    return this.found(key, ({ records }) => records.get(key));
  }

  arrayKeys(kind: string): string[] {
    const range = { start: [kind], end: [kind, '\u{10ffff}'] };
    return this.parts.flatMap(({ arrays }) => [...arrays.getKeys(range)].map((key) => key[1] as string));
  }

  getArray(kind: string, key: string): StoredArray {
    return decodeArray(this.found(`${kind} of ${key}`, ({ arrays }) => arrays.getBinary([kind, key])));
  }

  digest(keys: Iterable<string> = this.keys()): string {
    const hash = createHash('sha256');
    for (const key of [...keys].toSorted())
      hash
        .update(`${key}\0`)
        .update(this.found(key, ({ checksums, records }) => checksums?.getBinary(key) ?? records.getBinary(key)));
    return hash.digest('hex');
  }

  async close(): Promise<void> {
    for (const part of this.parts) await part.close();
  }

  private found<Value>(key: string, look: (part: PackPart) => Value | undefined): Value {
    for (const part of this.parts) {
      const value = look(part);
      if (value !== undefined) return value;
    }
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

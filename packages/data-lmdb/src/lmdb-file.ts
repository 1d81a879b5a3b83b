import { open, type FileHandle } from 'node:fs/promises';
import { codeOf, PackError } from './errors.ts';

const MAGIC = 0xbeefc0de;
/** Places of a field in page 0, by LMDB data format: format 2 has a page header 8 bytes longer than format 1. */
const META_START = { format1: 16, format2: 24 } as const;
/** Places of fields after the start of a meta page's content, in data format 2. */
const META_FIELDS = { version: 4, pageSize: 24, lastPage: 120, transaction: 128 } as const;

interface Meta {
  pageSize: number;
  lastPage: bigint;
  transaction: bigint;
}

/**
 * Throws a PackError unless the file at `path` is a whole LMDB file of data format 2.
 * The lmdb library ends the process on any other file, therefore this comes first.
 */
export async function checkLmdbFile(path: string): Promise<void> {
  const { actual, claimed } = await sizes(path);
  if (actual < claimed) throw foreign(path, 'be whole', `${actual} of ${claimed} bytes`);
}

/** LMDB data format of a file, by its first page; undefined for a file of another kind. */
export async function lmdbFormat(path: string): Promise<1 | 2 | undefined> {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(32), 0, 32, 0);
    if (bytesRead < 32) return undefined;
    if (buffer.readUInt32LE(META_START.format1) === MAGIC) return 1;
    return buffer.readUInt32LE(META_START.format2) === MAGIC ? 2 : undefined;
  } finally {
    await file.close();
  }
}

/** Bytes that the LMDB file has, and that it claims to have: the last page may be allocated without being written. */
export async function sizes(path: string): Promise<{ actual: number; claimed: number }> {
  const file = await openFile(path);
  try {
    const first = await readMeta(file, 0, path);
    const second = await readMeta(file, first.pageSize, path);
    const newest = second.transaction > first.transaction ? second : first;
    const { size } = await file.stat();
    return { actual: size, claimed: Number(newest.lastPage + 1n) * newest.pageSize };
  } finally {
    await file.close();
  }
}

/** An LMDB file for reading; throws a PackError of kind `missing` when there is none. */
export async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new PackError('missing', `openPack: file must exist, got none at ${path}. Make it with pack().`, {
      path,
      cause: error,
    });
  }
}

async function readMeta(file: FileHandle, offset: number, path: string): Promise<Meta> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(256), 0, 256, offset).catch((error: unknown) => {
    throw codeOf(error) === 'EISDIR' ? foreign(path, 'be an LMDB file', 'a folder') : error;
  });
  if (bytesRead < 256) throw foreign(path, 'be an LMDB file', `${bytesRead} bytes at offset ${offset}`);
  if (buffer.readUInt32LE(META_START.format1) === MAGIC) throw olderFormat(path);
  const start = META_START.format2;
  if (buffer.readUInt32LE(start) !== MAGIC) throw foreign(path, 'be an LMDB file', 'something else');
  const version = buffer.readUInt32LE(start + META_FIELDS.version);
  if (version !== 2) throw foreign(path, 'be LMDB data format 2', `format ${version}`);
  return {
    pageSize: buffer.readUInt32LE(start + META_FIELDS.pageSize),
    lastPage: buffer.readBigUInt64LE(start + META_FIELDS.lastPage),
    transaction: buffer.readBigUInt64LE(start + META_FIELDS.transaction),
  };
}

function olderFormat(path: string): PackError {
  return new PackError(
    'format',
    `openPack: file must be a pack of ours, got LMDB data format 1 (written by Python's lmdb or LMDB 0.9) at ${path}. ` +
      'Make a pack of it first: star pack FILE --out PACK, or pack(await sourceOf(file), path).',
    { path },
  );
}

function foreign(path: string, condition: string, got: string): PackError {
  return new PackError(
    'format',
    `openPack: file must ${condition}, got ${got} at ${path}. Give the .lmdb file that pack() made.`,
    { path },
  );
}

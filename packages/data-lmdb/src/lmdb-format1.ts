import type { FileHandle } from 'node:fs/promises';
import { PackError } from './errors.ts';
import type { FileRange } from './files.ts';
import { openFile } from './lmdb-file.ts';

/** A key of a database, and where its value lies in the file. */
export interface Format1Entry {
  key: Uint8Array;
  value: FileRange;
}

/** Bytes ahead of the content of every page. */
const PAGE_HEADER = 16;
/** Bytes ahead of the key of every node. */
const NODE_HEADER = 8;
const BRANCH = 0x01;
const LEAF = 0x02;
/** The value lies on pages of its own. */
const BIG_VALUE = 0x01;
/** What else the flags of a node say: a database inside the database, or several values under one key. */
const NESTED = 0x06;
/** Places of fields in a meta page: LMDB 0.9, mdb.c, MDB_meta and MDB_db. */
const META = { version: 20, pageSize: 40, root: 128, lastPage: 136, transaction: 144, end: 152 } as const;
/** Root of a database that holds nothing. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
/** LMDB's own limit of the depth of a tree. */
const DEEPEST = 32;

interface Tree {
  root: number;
  pageSize: number;
  pages: number;
}

/**
 * All keys of the main database of an LMDB file of data format 1, sorted, by a walk of its B+tree that writes nothing and trusts nothing:
 * places outside the file or the page, cycles, and databases inside it are refused.
 */
export async function readFormat1(path: string): Promise<Format1Entry[]> {
  const file = await openFile(path);
  try {
    const tree = await readTree(file, path);
    return tree === undefined ? [] : await new Walk(file, path, tree).entries();
  } finally {
    await file.close();
  }
}

/** The newest of the two meta pages; undefined for an empty database. */
async function readTree(file: FileHandle, path: string): Promise<Tree | undefined> {
  const first = await readAt(file, path, { offset: 0, length: META.end });
  const pageSize = first.readUInt32LE(META.pageSize);
  if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0)
    throw damaged(path, `a page size of ${pageSize}`);
  const second = await readAt(file, path, { offset: pageSize, length: META.end });
  const newest = second.readBigUInt64LE(META.transaction) > first.readBigUInt64LE(META.transaction) ? second : first;
  if (newest.readUInt32LE(META.version) !== 1) throw damaged(path, `version ${newest.readUInt32LE(META.version)}`);
  const root = newest.readBigUInt64LE(META.root);
  if (root === NO_PAGE) return undefined;
  return { root: Number(root), pageSize, pages: Number(newest.readBigUInt64LE(META.lastPage)) + 1 };
}

class Walk {
  private readonly file: FileHandle;
  private readonly path: string;
  private readonly tree: Tree;
  private readonly seen = new Set<number>();
  private size = 0;

  constructor(file: FileHandle, path: string, tree: Tree) {
    this.file = file;
    this.path = path;
    this.tree = tree;
  }

  async entries(): Promise<Format1Entry[]> {
    this.size = (await this.file.stat()).size;
    const found: Format1Entry[] = [];
    await this.page(this.tree.root, 0, found);
    return found;
  }

  private async page(number: number, depth: number, found: Format1Entry[]): Promise<void> {
    const { pageSize, pages } = this.tree;
    if (number >= pages || depth > DEEPEST || this.seen.has(number))
      throw damaged(this.path, `page ${number} of ${pages} at depth ${depth}, seen before or out of place`);
    this.seen.add(number);
    const offset = number * pageSize;
    const page = await readAt(this.file, this.path, { offset, length: pageSize });
    const kind = page.readUInt16LE(10) & (BRANCH | LEAF);
    for (const node of this.nodes(page)) {
      if (kind === BRANCH) await this.page(childOf(page, node), depth + 1, found);
      else if (kind === LEAF) found.push(this.entry(page, node, offset));
      else throw damaged(this.path, `a page ${number} that is neither branch nor leaf`);
    }
  }

  /** Offsets of the nodes in a page. */
  private nodes(page: Buffer): number[] {
    const end = page.readUInt16LE(12);
    if (end < PAGE_HEADER || end > page.length) throw damaged(this.path, `nodes up to byte ${end} of a page`);
    const places = Array.from({ length: (end - PAGE_HEADER) >> 1 }, (_, i) => page.readUInt16LE(PAGE_HEADER + 2 * i));
    for (const place of places)
      if (place + NODE_HEADER > page.length || place + NODE_HEADER + page.readUInt16LE(place + 6) > page.length)
        throw damaged(this.path, `a node at byte ${place} of a page`);
    return places;
  }

  private entry(page: Buffer, node: number, pageOffset: number): Format1Entry {
    const flags = page.readUInt16LE(node + 4);
    if (flags & NESTED) throw damaged(this.path, 'a database inside the database');
    const start = node + NODE_HEADER + page.readUInt16LE(node + 6);
    const key = Uint8Array.from(page.subarray(node + NODE_HEADER, start));
    const length = page.readUInt16LE(node) | (page.readUInt16LE(node + 2) << 16);
    const isBig = (flags & BIG_VALUE) !== 0;
    if (start + (isBig ? 8 : length) > page.length) throw damaged(this.path, `a value of ${length} bytes in a page`);
    const offset = isBig ? Number(page.readBigUInt64LE(start)) * this.tree.pageSize + PAGE_HEADER : pageOffset + start;
    if (length < 0 || offset + length > this.size) throw damaged(this.path, `a value of ${length} bytes at ${offset}`);
    return { key, value: { offset, length } };
  }
}

/** Page number of a branch's node: 48 bits. */
const childOf = (page: Buffer, node: number): number => page.readUInt32LE(node) + page.readUInt16LE(node + 4) * 2 ** 32;

/** Bytes of a place in an open file. */
async function readAt(file: FileHandle, path: string, { offset, length }: FileRange): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
  if (bytesRead < length) throw damaged(path, `${bytesRead} of ${length} bytes at ${offset}`);
  return buffer;
}

function damaged(path: string, got: string): PackError {
  return new PackError(
    'format',
    `pack: source must be a whole LMDB file of data format 1 with one database, got ${got} in ${path}. Copy it again.`,
    { path },
  );
}

import { open, type FileHandle } from 'node:fs/promises';
import { Header, type HeaderData, Pax } from 'tar';
import { PackError } from './errors.ts';
import type { FileRange } from './files.ts';

/** A file inside a tar, and where its bytes lie. */
export interface TarMember extends FileRange {
  name: string;
}

/** Tar is made of blocks of so many bytes. */
const BLOCK = 512;
/** Names and attributes that precede a member; nobody needs more. */
const MOST_ATTRIBUTES = 2 ** 20;

/** The files in a tar (ustar, GNU or pax, not compressed), in its order, without reading them. @throws PackError for another or a broken file. */
export async function tarMembers(path: string): Promise<TarMember[]> {
  const file = await open(path, 'r');
  try {
    return await walk(file, path, (await file.stat()).size);
  } finally {
    await file.close();
  }
}

async function walk(file: FileHandle, path: string, size: number): Promise<TarMember[]> {
  const members: TarMember[] = [];
  let attributes: HeaderData = {};
  let common: HeaderData = {};
  for (let at = 0; at + BLOCK <= size;) {
    const header = headerOf(await bytesAt(file, { offset: at, length: BLOCK }), [attributes, common]);
    if (header?.nullBlock) return members;
    if (!header?.cksumValid) throw broken(path, `a header with a wrong checksum at byte ${at}`);
    const place = { offset: at + BLOCK, length: header.size ?? 0 };
    if (place.offset + place.length > size)
      throw broken(path, `a file that ends ${place.length} bytes behind byte ${at}`);
    at = place.offset + Math.ceil(place.length / BLOCK) * BLOCK;
    const more = await readAttributes(file, header, place);
    if (header.type === 'GlobalExtendedHeader') common = { ...common, ...more };
    else if (more !== undefined) attributes = { ...attributes, ...more };
    else {
      if (isFile(header)) members.push({ name: header.path ?? '', ...place });
      attributes = {};
    }
  }
  if (members.length === 0) throw broken(path, 'no header at all');
  return members;
}

/** Undefined where a number in it is none. */
function headerOf(block: Buffer, [attributes, common]: readonly [HeaderData, HeaderData]): Header | undefined {
  try {
    return new Header(block, 0, attributes, common);
  } catch {
    return undefined;
  }
}

const isFile = ({ type }: Header): boolean => type === 'File' || type === 'OldFile' || type === 'ContiguousFile';

/** Attributes of the member behind this one, if that is what this one is. */
async function readAttributes(file: FileHandle, { type }: Header, place: FileRange): Promise<HeaderData | undefined> {
  const isPax = type === 'ExtendedHeader' || type === 'GlobalExtendedHeader' || type === 'OldExtendedHeader';
  const isName = type === 'NextFileHasLongPath' || type === 'OldGnuLongPath';
  if (!isPax && !isName && type !== 'NextFileHasLongLinkpath') return undefined;
  const length = Math.min(place.length, MOST_ATTRIBUTES);
  const text = (await bytesAt(file, { ...place, length })).toString('utf8');
  if (isName) return { path: text.replace(/\0.*$/s, '') };
  if (!isPax) return {};
  const { path, size } = Pax.parse(text);
  return { ...(path !== undefined && { path }), ...(size !== undefined && { size }) };
}

async function bytesAt(file: FileHandle, { offset, length }: FileRange): Promise<Buffer> {
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer;
}

function broken(path: string, got: string): PackError {
  return new PackError(
    'format',
    `pack: source must be a whole tar that is not compressed, got ${got} in ${path}. Copy it again, or unpack its compression.`,
    { path },
  );
}

/** The blocks of one file in a tar, under a name of at most 100 bytes. The same name and bytes give the same blocks. */
export function tarBlocks(name: string, bytes: Uint8Array): Buffer {
  const owner = { mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) };
  const block = Buffer.alloc(BLOCK);
  new Header({ path: name, size: bytes.length, type: 'File', ...owner }).encode(block, 0);
  return Buffer.concat([block, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

/** What a tar ends with. */
export const tarEnd: Buffer = Buffer.alloc(2 * BLOCK);

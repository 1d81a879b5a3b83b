import type { ByteSource } from '../source.ts';
import { expectThat, shown, TorchFileError } from './errors.ts';

/** A file inside an archive, stored as it is. */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  readonly crc: number;
  /** Where its local header begins. */
  readonly header: number;
}

/** Files of an archive by name. */
export type ZipEntries = ReadonlyMap<string, ZipEntry>;

const signatures = { local: 0x04034b50, central: 0x02014b50, end: 0x06054b50, end64: 0x06064b50, locator: 0x07064b50 };
const sizes = { local: 30, central: 46, end: 22, end64: 56, locator: 20 };
const largestComment = 0xffff;
const damaged = 'The archive is damaged; fetch it again.';

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const longAt = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

/** The directory at the end of a zip archive. @throws TorchFileError for a damaged, encrypted or compressed one, by name */
export async function openZip(source: ByteSource): Promise<ZipEntries> {
  const { count, start, length } = await findDirectory(source);
  expectThat(
    start + length <= source.size && count * sizes.central <= length,
    () =>
      `directory of ${count} files at bytes ${start}..${start + length} must fit the file of ${source.size}. ${damaged}`,
  );
  const view = viewOf(await source.read(start, length));
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    const { entry, next } = readEntry(view, at);
    checkEntry(entry, source.size);
    expectThat(!entries.has(entry.name), () => `archive must hold ${shown(entry.name)} once, got it twice. ${damaged}`);
    entries.set(entry.name, entry);
    at = next;
  }
  return entries;
}

interface Directory {
  readonly count: number;
  readonly start: number;
  readonly length: number;
}

/** The last record of the archive, or the 64-bit one that it stands in for. */
async function findDirectory(source: ByteSource): Promise<Directory> {
  const length = Math.min(source.size, sizes.end + largestComment + sizes.locator);
  const view = viewOf(await source.read(source.size - length, length));
  const at = endRecord(view);
  expectThat(at !== undefined, () => `archive must end with a directory, got none. ${damaged}`);
  const locator = at - sizes.locator;
  if (locator >= 0 && view.getUint32(locator, true) === signatures.locator)
    return directory64(source, longAt(view, locator + 8));
  return {
    count: view.getUint16(at + 10, true),
    length: view.getUint32(at + 12, true),
    start: view.getUint32(at + 16, true),
  };
}

/** Where the end record begins: the last place whose comment reaches exactly to the end. */
function endRecord(view: DataView): number | undefined {
  for (let at = view.byteLength - sizes.end; at >= 0; at--) {
    const ends = at + sizes.end + view.getUint16(at + 20, true) === view.byteLength;
    if (ends && view.getUint32(at, true) === signatures.end) return at;
  }
  return undefined;
}

async function directory64(source: ByteSource, at: number): Promise<Directory> {
  expectThat(
    at + sizes.end64 <= source.size,
    () => `64-bit directory must lie inside the file, got byte ${at}. ${damaged}`,
  );
  const view = viewOf(await source.read(at, sizes.end64));
  expectThat(
    view.getUint32(0, true) === signatures.end64,
    () => `64-bit directory must begin at byte ${at}. ${damaged}`,
  );
  return { count: longAt(view, 32), length: longAt(view, 40), start: longAt(view, 48) };
}

function readEntry(view: DataView, at: number): { entry: ZipEntry; next: number } {
  const whole = at + sizes.central <= view.byteLength && view.getUint32(at, true) === signatures.central;
  expectThat(whole, () => `directory must list a file at its byte ${at}. ${damaged}`);
  const nameStart = at + sizes.central;
  const extraStart = nameStart + view.getUint16(at + 28, true);
  const extraEnd = extraStart + view.getUint16(at + 30, true);
  const next = extraEnd + view.getUint16(at + 32, true);
  expectThat(next <= view.byteLength, () => `directory must hold the whole entry at its byte ${at}. ${damaged}`);
  const name = new TextDecoder().decode(
    new Uint8Array(view.buffer, view.byteOffset + nameStart, extraStart - nameStart),
  );
  checkMethod(name, view, at);
  const wide = wideFields(view, { at, extraStart, extraEnd });
  expectThat(
    wide.size === wide.packed,
    () => `${shown(name)} must be stored whole, got ${wide.packed} of ${wide.size} bytes. ${damaged}`,
  );
  return { entry: { name, size: wide.size, crc: view.getUint32(at + 16, true), header: wide.header }, next };
}

function checkMethod(name: string, view: DataView, at: number): void {
  const method = view.getUint16(at + 10, true);
  if (view.getUint16(at + 8, true) & 1)
    throw new TorchFileError(`${shown(name)} must not be encrypted. Save the checkpoint with torch.save.`);
  if (method !== 0)
    throw new TorchFileError(
      `${shown(name)} must be stored, got compression method ${method}${method === 8 ? ' (DEFLATE)' : ''}. Save the checkpoint with torch.save, which does not compress.`,
    );
}

/** Sizes and place of an entry; those that do not fit 32 bits stand in a field of their own. */
function wideFields(
  view: DataView,
  { at, extraStart, extraEnd }: { readonly at: number; readonly extraStart: number; readonly extraEnd: number },
): { size: number; packed: number; header: number } {
  let next = extraField(view, extraStart, extraEnd);
  const field = (offset: number): number => {
    const short = view.getUint32(at + offset, true);
    if (short !== 0xffffffff || next === undefined || next + 8 > extraEnd) return short;
    next += 8;
    return longAt(view, next - 8);
  };
  return { size: field(24), packed: field(20), header: field(42) };
}

/** Where the 64-bit fields of an entry begin, if it has any. */
function extraField(view: DataView, start: number, end: number): number | undefined {
  for (let at = start; at + 4 <= end; at += 4 + view.getUint16(at + 2, true))
    if (view.getUint16(at, true) === 1) return at + 4;
  return undefined;
}

function checkEntry({ name, size, header }: ZipEntry, fileBytes: number): void {
  const end = header + sizes.local + size;
  expectThat(
    Number.isSafeInteger(end) && end <= fileBytes,
    () => `${shown(name)} of ${size} bytes at byte ${header} must fit the file of ${fileBytes}. ${damaged}`,
  );
}

/** Where an entry's bytes begin. */
export async function locateEntry(source: ByteSource, { name, size, header }: ZipEntry): Promise<number> {
  const view = viewOf(await source.read(header, sizes.local));
  const start = header + sizes.local + view.getUint16(26, true) + view.getUint16(28, true);
  expectThat(
    view.getUint32(0, true) === signatures.local && start + size <= source.size,
    () => `${shown(name)} must begin at byte ${header}. ${damaged}`,
  );
  return start;
}

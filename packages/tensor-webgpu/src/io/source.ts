/** A file of any size of which only the pieces that are asked for come into memory. */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /** The bytes offset..offset + length. @throws SourceError where the file ends before. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A file: all of its bytes, or where to read them from. */
export type FileBytes = Uint8Array | ByteSource;

/** Gives a file of a folder by its path inside it; a source where the file may be too large for one array. */
export type ReadFile = (path: string) => Promise<FileBytes>;

/** The reader of a folder inside another's. */
export const insideOf =
  (read: ReadFile, folder: string): ReadFile =>
  (path) =>
    read(`${folder}/${path}`);

/** A file that ends before what was asked of it, or cannot be read. */
export class SourceError extends Error {
  constructor(message: string) {
    super(`source: ${message}`);
    this.name = 'SourceError';
  }
}

/** Checks that a range lies inside a source. @throws SourceError */
export function checkRange(size: number, offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new SourceError(
    `bytes ${offset}..${offset + length} must lie inside the file of ${size}. It is truncated; fetch it again.`,
  );
}

/** Bytes in memory as a source; what is read are views of them. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.byteLength,
    read: async (offset, length) => {
      checkRange(bytes.byteLength, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** A file as a source, whichever it is. */
export const sourceOf = (file: FileBytes): ByteSource => (file instanceof Uint8Array ? bytesSource(file) : file);

/** All bytes of a small file. */
export const readBytes = async (file: FileBytes): Promise<Uint8Array> =>
  file instanceof Uint8Array ? file : file.read(0, file.size);

/** A file's text. */
export const readText = async (file: FileBytes): Promise<string> => new TextDecoder().decode(await readBytes(file));

/** The bytes of a file of JSON, for people to read: two spaces a level and a newline at its end. */
export const jsonFile = (value: unknown): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);

/** Bytes read at once: enough that reading dominates, few enough that memory stays small. A multiple of every element's size. */
const pieceBytes = 4 << 20;

/** A range of a source in pieces. */
export async function* rangePieces(source: ByteSource, start: number, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < length; at += pieceBytes) yield source.read(start + at, Math.min(pieceBytes, length - at));
}

import { PackError } from './errors.ts';

/** The mark that every pack of ours carries. */
export const FORMAT = 'star-webgpu-pack';

/** Versions of the layout: of a pack in one file, and of one whose header lists further files. */
export const VERSION = 1;
export const VERSION_OF_PARTS = 2;

/**
 * Where things live: the header, and how far writing came, under keys of the root; one named database for each kind of content, for the
 * checksums of pictures and arrays, and for what was refused.
 */
export const LAYOUT = {
  header: 'header',
  standing: 'standing',
  records: 'records',
  images: 'images',
  arrays: 'arrays',
  checksums: 'checksums',
  refusals: 'refusals',
} as const;

/** LMDB holds keys of up to 1978 bytes; kind and key of an array share them. */
export const MAX_KEY_BYTES = 900;

/** What a pack says about itself. */
export interface PackHeader {
  format: typeof FORMAT;
  version: typeof VERSION | typeof VERSION_OF_PARTS;
  /** Name of the data set. */
  name: string;
  /** How many pictures it holds. */
  pictures: number;
  /** Its further files, from the folder of the first. */
  parts?: readonly string[];
}

/** What is known of one picture, without its bytes. */
export interface PackRecord {
  /** At least one caption, the main one first. */
  captions: readonly string[];
  /** Width in pixels, after EXIF rotation. */
  width: number;
  /** Height in pixels, after EXIF rotation. */
  height: number;
  /** Media type of the stored bytes, such as `image/webp`. */
  mime: string;
  /** Where the picture came from: a path inside its source, or a line of a list. */
  source: string;
  /** Free properties to choose by, such as the group of an emoji. */
  labels: Readonly<Record<string, string>>;
}

/** Element types of stored arrays; half floats (f16) travel as their bits. */
export type ArrayType = 'f32' | 'f64' | 'f16' | 'u8' | 'u16' | 'u32' | 'i8' | 'i16' | 'i32';

/** Any typed array that can be stored. */
export type ArrayData =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array;

type ArrayConstructor = new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayData;

const ARRAY_TYPES: Readonly<Record<ArrayType, ArrayConstructor>> = {
  f32: Float32Array,
  f64: Float64Array,
  f16: Uint16Array,
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
};

/** A typed array with its shape; what it means is the caller's business. */
export interface StoredArray {
  dtype: ArrayType;
  shape: readonly number[];
  data: ArrayData;
}

const ALIGNMENT = 8;

/** Bytes of a stored array: length of the description (u32), the description as JSON, padding to 8, the elements. */
export function encodeArray(array: StoredArray): Uint8Array {
  checkArray(array);
  const description = new TextEncoder().encode(JSON.stringify({ dtype: array.dtype, shape: array.shape }));
  const start = alignUp(4 + description.length);
  const bytes = new Uint8Array(start + array.data.byteLength);
  new DataView(bytes.buffer).setUint32(0, description.length, true);
  bytes.set(description, 4);
  bytes.set(new Uint8Array(array.data.buffer, array.data.byteOffset, array.data.byteLength), start);
  return bytes;
}

/** The array that `encodeArray` wrote, in memory of its own. */
export function decodeArray(bytes: Uint8Array): StoredArray {
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
  const { dtype, shape } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as StoredArray;
  const elements = bytes.slice(alignUp(4 + length));
  return { dtype, shape, data: new ARRAY_TYPES[dtype](elements.buffer, elements.byteOffset, sizeOf(shape)) };
}

/** The header in the bytes of a file; throws when they are not the header of a pack that this version reads. */
export function parseHeader(bytes: Uint8Array | undefined, path: string): PackHeader {
  const header = bytes === undefined ? undefined : parseObject(new TextDecoder().decode(bytes));
  if (header?.['format'] !== FORMAT) {
    throw new PackError(
      'format',
      `openPack: file must be a pack of ours, got another LMDB database at ${path}. Make a pack with pack().`,
      { path },
    );
  }
  if (header['version'] !== VERSION && header['version'] !== VERSION_OF_PARTS) {
    throw new PackError(
      'format',
      `openPack: pack version must be ${VERSION} or ${VERSION_OF_PARTS}, got ${String(header['version'])} at ${path}. ` +
        'Update @star-webgpu/data-lmdb, or pack the data again.',
      { path },
    );
  }
  return header as unknown as PackHeader;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function checkArray({ dtype, shape, data }: StoredArray): void {
  if (!(data instanceof ARRAY_TYPES[dtype])) {
    throw new PackError(
      'argument',
      `putArray: data must match its dtype ${dtype}, got ${data.constructor.name}. Pass a ${ARRAY_TYPES[dtype].name}.`,
    );
  }
  if (sizeOf(shape) !== data.length) {
    throw new PackError(
      'argument',
      `putArray: shape must hold as many elements as data, got [${shape.join(', ')}] for ${data.length}. Correct the shape.`,
    );
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);
const alignUp = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

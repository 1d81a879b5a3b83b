import { contiguousStrides, type Shape, sizeOf } from '../shape.ts';
import { type HostTensor, storedBytes, type StoredDType } from '../io/host-tensor.ts';
import { crc32 } from '../io/torch/crc32.ts';

/** Bytes that tensors of a written file share; without values they are a hole of zeros, for files that are large on paper only. */
export interface WrittenStorage {
  readonly dtype: StoredDType;
  readonly elements: number;
  readonly values?: Uint8Array;
}

/** A view of a storage, as torch pickles a tensor. */
export class WrittenTensor {
  readonly storage: WrittenStorage;
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;

  constructor(
    storage: WrittenStorage,
    {
      shape,
      strides = contiguousStrides(shape),
      offset = 0,
    }: { shape: Shape; strides?: readonly number[]; offset?: number },
  ) {
    this.storage = storage;
    this.shape = shape;
    this.strides = strides;
    this.offset = offset;
  }
}

/** A tensor over a storage of its own. */
export const writtenTensor = ({ dtype, shape, bytes }: HostTensor): WrittenTensor =>
  new WrittenTensor({ dtype, elements: sizeOf(shape), values: bytes }, { shape });

/** A tensor of zeros that take no space in a sparse file. */
export const writtenHole = (dtype: StoredDType, shape: Shape): WrittenTensor =>
  new WrittenTensor({ dtype, elements: sizeOf(shape) }, { shape });

/** Python's tuple; an array is a list. */
export class WrittenTuple {
  readonly items: readonly Written[];

  constructor(items: readonly Written[]) {
    this.items = items;
  }
}

/** Python's float where the number is whole. */
export class WrittenFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** Python's collections.OrderedDict, as state_dict() gives it; a Map is a dict. */
export class WrittenOrdered extends Map<string, Written> {}

/** What a torch file is written from. */
export type Written =
  | null
  | boolean
  | number
  | string
  | WrittenFloat
  | WrittenTensor
  | WrittenTuple
  | readonly Written[]
  | ReadonlyMap<string | number, Written>;

/** A file as bytes at places; between them are zeros. */
export interface FileParts {
  readonly size: number;
  readonly parts: readonly { readonly at: number; readonly bytes: Uint8Array }[];
}

const storageNames: Readonly<Partial<Record<StoredDType, string>>> = {
  F64: 'DoubleStorage',
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
  I32: 'IntStorage',
  I16: 'ShortStorage',
  I8: 'CharStorage',
  U8: 'ByteStorage',
  BOOL: 'BoolStorage',
};

const encoder = new TextEncoder();

/** Little-endian numbers: [value, bytes] pairs, one behind the other. */
function packed(...fields: readonly (readonly [value: number, bytes: 1 | 2 | 4 | 8])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [, bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [value, bytes] of fields) {
    if (bytes === 8) view.setBigUint64(at, BigInt(value), true);
    else if (bytes === 4) view.setUint32(at, value, true);
    else if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint8(at, value);
    at += bytes;
  }
  return new Uint8Array(view.buffer);
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}

/** Pickles of protocol 2, opcode for opcode as Python writes them. */
class Pickler {
  readonly storages = new Map<WrittenStorage, string>();
  private readonly chunks: Uint8Array[] = [Uint8Array.of(0x80, 2)];
  private readonly memo = new Map<unknown, number>();
  private readonly keyOf: (index: number) => string;
  private readonly legacy: boolean;

  constructor(legacy: boolean) {
    this.legacy = legacy;
    this.keyOf = legacy ? (index) => String(94_000_000 + 64 * index) : String;
  }

  finish(value: Written): Uint8Array {
    this.save(value);
    this.code('.');
    return joined(this.chunks);
  }

  private code(letters: string): void {
    this.chunks.push(Uint8Array.from(letters, (letter) => letter.charCodeAt(0)));
  }

  private put(key: unknown): void {
    const place = this.memo.size;
    this.memo.set(key, place);
    this.chunks.push(place < 256 ? packed([0x71, 1], [place, 1]) : packed([0x72, 1], [place, 4]));
  }

  /** Writes a reference if the thing was written before. */
  private known(key: unknown): boolean {
    const place = this.memo.get(key);
    if (place !== undefined)
      this.chunks.push(place < 256 ? packed([0x68, 1], [place, 1]) : packed([0x6a, 1], [place, 4]));
    return place !== undefined;
  }

  private save(value: Written): void {
    if (value === null) this.code('N');
    else if (typeof value === 'boolean') this.code(value ? '\u0088' : '\u0089');
    else if (typeof value === 'number') this.number(value);
    else if (typeof value === 'string') this.text(value);
    else if (value instanceof WrittenFloat) this.float(value.value);
    else if (!this.known(value)) this.object(value);
  }

  private object(value: Exclude<Written, null | boolean | number | string | WrittenFloat>): void {
    if (value instanceof WrittenTensor) this.tensor(value);
    else if (value instanceof WrittenTuple)
      this.tuple(
        value.items.map((item) => () => this.save(item)),
        value,
      );
    else if (value instanceof Map) this.dict(value);
    else this.list(value as readonly Written[]);
  }

  private number(value: number): void {
    if (!Number.isInteger(value) || Object.is(value, -0)) return this.float(value);
    if (value >= 0 && value < 256) this.chunks.push(packed([0x4b, 1], [value, 1]));
    else if (value >= 0 && value < 65_536) this.chunks.push(packed([0x4d, 1], [value, 2]));
    else if (Math.abs(value) < 2 ** 31) this.chunks.push(packed([0x4a, 1], [value >>> 0, 4]));
    else this.chunks.push(packed([0x8a, 1], [8, 1], [value, 8]));
  }

  private float(value: number): void {
    const view = new DataView(new ArrayBuffer(9));
    view.setUint8(0, 0x47);
    view.setFloat64(1, value);
    this.chunks.push(new Uint8Array(view.buffer));
  }

  private text(value: string): void {
    if (this.known(value)) return;
    const bytes = encoder.encode(value);
    this.chunks.push(packed([0x58, 1], [bytes.byteLength, 4]), bytes);
    this.put(value);
  }

  private global(module: string, name: string): void {
    const key = `global ${module} ${name}`;
    if (this.known(key)) return;
    this.code(`c${module}\n${name}\n`);
    this.put(key);
  }

  private tuple(items: readonly (() => void)[], key: unknown = {}): void {
    if (!items.length) return this.code(')');
    if (items.length > 3) this.code('(');
    for (const save of items) save();
    this.code(items.length > 3 ? 't' : String.fromCharCode(0x84 + items.length));
    this.put(key);
  }

  private list(items: readonly Written[]): void {
    this.code(']');
    this.put(items);
    this.batches(items, (item) => this.save(item), 'ae');
  }

  private dict(map: ReadonlyMap<string | number, Written>): void {
    if (map instanceof WrittenOrdered) this.ordered(map);
    else {
      this.code('}');
      this.put(map);
    }
    const pair = ([key, value]: readonly [string | number, Written]): void => {
      this.save(key);
      this.save(value);
    };
    this.batches([...map], pair, 'su');
  }

  private ordered(key: unknown): void {
    this.global('collections', 'OrderedDict');
    this.code(')R');
    this.put(key);
  }

  /** Items by thousands: one alone with the first opcode, several behind a mark with the second. */
  private batches<T>(items: readonly T[], save: (item: T) => void, [one, many]: string): void {
    for (let at = 0; at < items.length; at += 1000) {
      const batch = items.slice(at, at + 1000);
      if (batch.length > 1) this.code('(');
      for (const item of batch) save(item);
      this.code(batch.length > 1 ? many! : one!);
    }
  }

  private tensor(tensor: WrittenTensor): void {
    const sides = (values: readonly number[]): void => this.tuple(values.map((value) => () => this.number(value)));
    this.global('torch._utils', '_rebuild_tensor_v2');
    this.tuple([
      () => this.storage(tensor.storage),
      () => this.number(tensor.offset),
      () => sides(tensor.shape),
      () => sides(tensor.strides),
      () => this.code('\u0089'),
      () => this.ordered({}),
    ]);
    this.code('R');
    this.put(tensor);
  }

  private storage(storage: WrittenStorage): void {
    const key = this.storages.get(storage) ?? this.keyOf(this.storages.size);
    this.storages.set(storage, key);
    const fields = [
      () => this.text('storage'),
      () => this.global('torch', storageNames[storage.dtype]!),
      () => this.text(key),
      () => this.text('cpu'),
      () => this.number(storage.elements),
    ];
    this.tuple(this.legacy ? [...fields, () => this.code('N')] : fields);
    this.code('Q');
  }
}

const lengthOf = ({ dtype, elements }: WrittenStorage): number => elements * storedBytes[dtype];

const zeroChecksums = new Map<number, number>();

/** Checksum of a storage; holes of one size share the work. */
function checksum(storage: WrittenStorage): number {
  if (storage.values) return crc32(storage.values);
  const length = lengthOf(storage);
  const known = zeroChecksums.get(length);
  if (known !== undefined) return known;
  const zeros = new Uint8Array(Math.min(length, 1 << 20));
  let crc = 0;
  for (let left = length; left > 0; left -= zeros.length) crc = crc32(zeros.subarray(0, left), crc);
  zeroChecksums.set(length, crc);
  return crc;
}

interface ZipContent {
  readonly name: string;
  readonly size: number;
  readonly crc: number;
  readonly bytes?: Uint8Array;
}

/** Fields that stand for a place of 32 bits, or for "see the 64-bit field". */
const short = (value: number): number => Math.min(value, 0xffffffff);

/** An archive as torch's writer makes it: bytes begin at multiples of 64, checksums follow them, the directory has a 64-bit end. */
function zipParts(contents: readonly ZipContent[]): FileParts {
  const parts: { at: number; bytes: Uint8Array }[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const add = (bytes: Uint8Array): void => {
    parts.push({ at, bytes });
    at += bytes.byteLength;
  };
  for (const content of contents) {
    directory.push(centralHeader(content, at));
    add(localHeader(content.name, at));
    if (content.bytes) parts.push({ at, bytes: content.bytes });
    at += content.size;
    add(packed([0x08074b50, 4], [content.crc, 4], [content.size, 4], [content.size, 4]));
  }
  const start = at;
  add(joined(directory));
  add(endRecords(contents.length, start, at - start));
  return { size: at, parts };
}

/** A local header whose extra field pads it to a multiple of 64. */
function localHeader(name: string, at: number): Uint8Array {
  const text = encoder.encode(name);
  const wide = at >= 0xffffffff ? packed([1, 2], [8, 2], [at, 8]) : new Uint8Array(0);
  const unpadded = at + 30 + text.byteLength + wide.byteLength + 4;
  const padding = (64 - (unpadded % 64)) % 64;
  const extra = [wide, encoder.encode('FB'), packed([padding, 2]), new Uint8Array(padding).fill(0x5a)];
  const fields = packed(
    [0x04034b50, 4],
    [0, 2],
    [0x0808, 2],
    [0, 2],
    [0, 8],
    [0, 8],
    [text.byteLength, 2],
    [wide.byteLength + 4 + padding, 2],
  );
  return joined([fields, text, ...extra]);
}

function centralHeader({ name, size, crc }: ZipContent, at: number): Uint8Array {
  const text = encoder.encode(name);
  const wide = at >= 0xffffffff ? packed([1, 2], [8, 2], [at, 8]) : new Uint8Array(0);
  const sizes = packed([crc, 4], [size, 4], [size, 4], [text.byteLength, 2], [wide.byteLength, 2]);
  return joined([
    packed([0x02014b50, 4], [0, 4], [0x0808, 2], [0, 4], [0, 2]),
    sizes,
    packed([0, 8], [0, 2], [short(at), 4]),
    text,
    wide,
  ]);
}

function endRecords(count: number, start: number, length: number): Uint8Array {
  const end64 = packed(
    [0x06064b50, 4],
    [44, 8],
    [0x031e, 2],
    [45, 2],
    [0, 8],
    [count, 8],
    [count, 8],
    [length, 8],
    [start, 8],
  );
  const locator = packed([0x07064b50, 4], [0, 4], [start + length, 8], [1, 4]);
  const end = packed([0x06054b50, 4], [0, 4], [count, 2], [count, 2], [length, 4], [short(start), 4], [0, 2]);
  return joined([end64, locator, end]);
}

const plainContent = (name: string, bytes: Uint8Array): ZipContent => ({
  name,
  size: bytes.byteLength,
  crc: crc32(bytes),
  bytes,
});

/** An archive of any files, laid out as torch does it. */
export const archiveParts = (files: ReadonlyMap<string, Uint8Array>): FileParts =>
  zipParts([...files].map(([name, bytes]) => plainContent(name, bytes)));

/** A file as torch.save writes it since version 1.6: a zip archive named after the file. */
export function torchParts(value: Written, name = 'archive'): FileParts {
  const pickler = new Pickler(false);
  const pickle = plainContent(`${name}/data.pkl`, pickler.finish(value));
  const storages = [...pickler.storages].map(([storage, key]) => ({
    name: `${name}/data/${key}`,
    size: lengthOf(storage),
    crc: checksum(storage),
    ...(storage.values && { bytes: storage.values }),
  }));
  return zipParts([pickle, ...storages, plainContent(`${name}/version`, encoder.encode('3\n'))]);
}

/** A file as torch.save wrote it before version 1.6: pickles, then the storages in the order of their keys. */
export function legacyTorchParts(value: Written): FileParts {
  const pickler = new Pickler(true);
  const pickle = (one: Written): Uint8Array => new Pickler(true).finish(one);
  const magic = Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e);
  const sizes = new Map([
    ['short', 2],
    ['int', 4],
    ['long', 4],
  ] as const);
  const machine = new Map<string, Written>([
    ['protocol_version', 1001],
    ['little_endian', true],
    ['type_sizes', sizes],
  ]);
  const body = pickler.finish(value);
  const storages = [...pickler.storages].toSorted(([, a], [, b]) => (a < b ? -1 : 1));
  const keys = pickle(storages.map(([, key]) => key));
  const parts = [{ at: 0, bytes: joined([magic, pickle(1001), pickle(machine), body, keys]) }];
  let at = parts[0]!.bytes.byteLength;
  for (const [storage] of storages) {
    parts.push({ at, bytes: packed([storage.elements, 8]) });
    if (storage.values) parts.push({ at: at + 8, bytes: storage.values });
    at += 8 + lengthOf(storage);
  }
  return { size: at, parts };
}

/** A written file as bytes. */
export function partsBytes({ size, parts }: FileParts): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const part of parts) bytes.set(part.bytes, part.at);
  return bytes;
}

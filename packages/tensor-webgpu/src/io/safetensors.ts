import { sizeOf } from '../shape.ts';
import { type HostTensor, storedBytes, type StoredDType } from './host-tensor.ts';
import { type FileBytes, rangePieces, readBytes, type ReadFile, sourceOf } from './source.ts';
import { readStored, type StoredTensor } from './stored-tensor.ts';

/** A safetensors file that breaks the format; the message names what is wrong. */
export class SafetensorsError extends Error {
  constructor(message: string) {
    super(`safetensors: ${message}`);
    this.name = 'SafetensorsError';
  }
}

const headerBytes = 8;
/** Limit of the reference implementation. */
const largestHeader = 100_000_000;

interface Entry {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/**
 * Tensors of a safetensors file by name, as views of its bytes.
 * @throws SafetensorsError for a truncated, oversized, overlapping or otherwise broken header.
 */
export function readSafetensors(file: Uint8Array): Map<string, HostTensor> {
  const { header, dataStart } = parseHeader(file);
  const entries = readEntries(header, file.byteLength - dataStart);
  return new Map(
    entries.map(({ name, dtype, shape, start, end }) => [
      name,
      { dtype, shape, bytes: file.subarray(dataStart + start, dataStart + end) },
    ]),
  );
}

/**
 * Tensors of a safetensors file of any size by name; only its header is read.
 * @throws SafetensorsError as readSafetensors does
 */
export async function openSafetensors(file: FileBytes): Promise<Map<string, StoredTensor>> {
  const source = sourceOf(file);
  const length = headerLength(await source.read(0, Math.min(headerBytes, source.size)), source.size);
  const dataStart = headerBytes + length;
  const header = parseJson(await source.read(headerBytes, length));
  return new Map(
    readEntries(header, source.size - dataStart).map(({ name, dtype, shape, start, end }) => [
      name,
      { dtype, shape, pieces: () => rangePieces(source, dataStart + start, end - start) },
    ]),
  );
}

/** The free-text metadata of a safetensors file. */
export function readSafetensorsMetadata(file: Uint8Array): Record<string, string> {
  return (parseHeader(file).header['__metadata__'] as Record<string, string> | undefined) ?? {};
}

/** Length of the header from a file's first bytes. */
function headerLength(first: Uint8Array, fileBytes: number): number {
  if (fileBytes < headerBytes)
    throw new SafetensorsError(
      `file must hold at least ${headerBytes} bytes, got ${fileBytes}. It is truncated or another format.`,
    );
  const length = Number(new DataView(first.buffer, first.byteOffset).getBigUint64(0, true));
  if (length > largestHeader)
    throw new SafetensorsError(
      `header must be at most ${largestHeader} bytes, got ${length}. This is not a safetensors file.`,
    );
  if (headerBytes + length > fileBytes)
    throw new SafetensorsError(
      `header of ${length} bytes must fit the file of ${fileBytes}. The file is truncated; fetch it again.`,
    );
  return length;
}

function parseHeader(file: Uint8Array): { header: Record<string, unknown>; dataStart: number } {
  const dataStart = headerBytes + headerLength(file, file.byteLength);
  return { header: parseJson(file.subarray(headerBytes, dataStart)), dataStart };
}

function parseJson(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // reported below, with every other kind of wrong header
  }
  throw new SafetensorsError('header must be a JSON object. The file is corrupt or another format.');
}

/** What a header lists, checked against the bytes behind it. */
function readEntries(header: Record<string, unknown>, available: number): Entry[] {
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => readEntry(name, value));
  checkLayout(entries, available);
  return entries;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function readEntry(name: string, value: unknown): Entry {
  const {
    dtype,
    shape,
    data_offsets: offsets,
  } = (value ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  if (typeof dtype !== 'string' || !(dtype in storedBytes))
    throw new SafetensorsError(`tensor "${name}" has unknown dtype ${JSON.stringify(dtype)}.`);
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw new SafetensorsError(`tensor "${name}" has broken shape ${JSON.stringify(shape)}.`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw new SafetensorsError(`tensor "${name}" has broken data_offsets ${JSON.stringify(offsets)}.`);
  const [start, end] = offsets as [number, number];
  const bytes = sizeOf(shape) * storedBytes[dtype as StoredDType];
  if (end - start !== bytes)
    throw new SafetensorsError(
      `tensor "${name}" of shape [${shape}] ${dtype} must span ${bytes} bytes, got ${end - start}.`,
    );
  return { name, dtype: dtype as StoredDType, shape, start, end };
}

/** Tensors must tile the data exactly: no overlap, no hole, no byte beyond the file. */
function checkLayout(entries: readonly Entry[], available: number): void {
  let expected = 0;
  for (const { name, start, end } of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start < expected) throw new SafetensorsError(`tensor "${name}" overlaps the one before it at byte ${start}.`);
    if (start > expected)
      throw new SafetensorsError(`bytes ${expected}..${start} before tensor "${name}" belong to no tensor.`);
    if (end > available)
      throw new SafetensorsError(
        `tensor "${name}" ends at byte ${end} of ${available}. The file is truncated; fetch it again.`,
      );
    expected = end;
  }
  if (expected !== available)
    throw new SafetensorsError(`${available - expected} bytes after the last tensor belong to no tensor.`);
}

/** A safetensors file of the tensors, in their order, with 8-byte aligned data. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { header, dataBytes } = formatHeader(tensors, metadata);
  const file = new Uint8Array(header.byteLength + dataBytes);
  file.set(header);
  let at = header.byteLength;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    checkBytes(name, { dtype, shape }, bytes.byteLength);
    file.set(bytes, at);
    at += bytes.byteLength;
  }
  return file;
}

/**
 * A safetensors file of any size, piece by piece: its header, then one tensor behind the other, each read only when its turn comes.
 * @throws SafetensorsError where a tensor's pieces are not as long as its shape says
 */
export async function* safetensorsPieces(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array> {
  yield formatHeader(tensors, metadata).header;
  for (const [name, stored] of tensors) {
    let bytes = 0;
    for await (const piece of stored.pieces()) {
      bytes += piece.byteLength;
      yield piece;
    }
    checkBytes(name, stored, bytes);
  }
}

type Described = Pick<HostTensor, 'dtype' | 'shape'>;

const spanOf = ({ dtype, shape }: Described): number => sizeOf(shape) * storedBytes[dtype];

function checkBytes(name: string, described: Described, bytes: number): void {
  if (bytes === spanOf(described)) return;
  const { dtype, shape } = described;
  throw new SafetensorsError(
    `tensor "${name}" of shape [${shape}] ${dtype} must hold ${spanOf(described)} bytes, got ${bytes}.`,
  );
}

/** The file's beginning up to its data, padded with spaces to whole 8 bytes. */
function formatHeader(
  tensors: ReadonlyMap<string, Described>,
  metadata: Readonly<Record<string, string>>,
): { header: Uint8Array; dataBytes: number } {
  const listed: Record<string, unknown> = Object.keys(metadata).length ? { __metadata__: metadata } : {};
  let at = 0;
  for (const [name, { dtype, shape }] of tensors)
    listed[name] = { dtype, shape, data_offsets: [at, (at += spanOf({ dtype, shape }))] };
  const text = new TextEncoder().encode(JSON.stringify(listed));
  const padded = Math.ceil(text.byteLength / 8) * 8;
  const header = new Uint8Array(headerBytes + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(text, headerBytes);
  return { header, dataBytes: at };
}

export interface ShardedOptions {
  /** Opens one file; as safetensors by default. */
  readonly open?: (file: FileBytes) => Promise<ReadonlyMap<string, StoredTensor>>;
}

/**
 * Tensors of a model split over several files, by its `*.safetensors.index.json`; only headers are read.
 * @throws SafetensorsError naming tensors that the index lists and no file holds.
 */
export async function openSharded(
  index: FileBytes,
  readFile: ReadFile,
  { open = openSafetensors }: ShardedOptions = {},
): Promise<Map<string, StoredTensor>> {
  const places = shardsOf(await readBytes(index));
  const all = new Map<string, StoredTensor>();
  for (const file of new Set(places.values()))
    for (const [name, tensor] of await open(await readFile(file))) all.set(name, tensor);
  const missing = [...places].filter(([name]) => !all.has(name)).map(([name, file]) => `${name} (${file})`);
  if (missing.length) throw new SafetensorsError(`index lists tensors that no file holds: ${missing.join(', ')}.`);
  return all;
}

/** As openSharded, with all tensors in memory. */
export async function readSharded(index: FileBytes, readFile: ReadFile): Promise<Map<string, HostTensor>> {
  const all = new Map<string, HostTensor>();
  for (const [name, stored] of await openSharded(index, readFile)) all.set(name, await readStored(stored));
  return all;
}

/**
 * Tensors of a model's folder: of model.safetensors, or of the shards that model.safetensors.index.json lists; only headers are read.
 * @throws SafetensorsError, or what the reader says of model.safetensors where there is neither.
 */
export async function openWeights(readFile: ReadFile): Promise<Map<string, StoredTensor>> {
  try {
    return await openSafetensors(await readFile('model.safetensors'));
  } catch (fault) {
    const index = fault instanceof SafetensorsError ? undefined : await optional(readFile, indexFile);
    if (!index) throw fault;
    return openSharded(index, readFile);
  }
}

const indexFile = 'model.safetensors.index.json';

/** A file that need not be there; what a reader says of a missing one differs from place to place. */
const optional = (readFile: ReadFile, path: string): Promise<FileBytes | undefined> =>
  readFile(path).catch(() => undefined);

/** The file of each tensor, by an index. */
function shardsOf(index: Uint8Array): Map<string, string> {
  const map = parseJson(index)['weight_map'];
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new SafetensorsError('index must hold a "weight_map" object.');
  const places = new Map(Object.entries(map as Record<string, unknown>));
  for (const file of places.values())
    if (typeof file !== 'string' || /[\\/]/.test(file))
      throw new SafetensorsError(`index must name files beside it, got ${JSON.stringify(file)}.`);
  return places as Map<string, string>;
}

import { sizeOf } from '../shape.ts';
import { type HostTensor, storedBytes, type StoredDType } from './host-tensor.ts';

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
  const { entries, dataStart } = readHeader(file);
  checkLayout(entries, file.byteLength - dataStart);
  return new Map(
    entries.map(({ name, dtype, shape, start, end }) => [
      name,
      { dtype, shape, bytes: file.subarray(dataStart + start, dataStart + end) },
    ]),
  );
}

/** The free-text metadata of a safetensors file. */
export function readSafetensorsMetadata(file: Uint8Array): Record<string, string> {
  return (parseHeader(file).header['__metadata__'] as Record<string, string> | undefined) ?? {};
}

function parseHeader(file: Uint8Array): { header: Record<string, unknown>; dataStart: number } {
  if (file.byteLength < headerBytes)
    throw new SafetensorsError(
      `file must hold at least ${headerBytes} bytes, got ${file.byteLength}. It is truncated or another format.`,
    );
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > largestHeader)
    throw new SafetensorsError(
      `header must be at most ${largestHeader} bytes, got ${length}. This is not a safetensors file.`,
    );
  if (headerBytes + length > file.byteLength)
    throw new SafetensorsError(
      `header of ${length} bytes must fit the file of ${file.byteLength}. The file is truncated; fetch it again.`,
    );
  return { header: parseJson(file.subarray(headerBytes, headerBytes + length)), dataStart: headerBytes + length };
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

function readHeader(file: Uint8Array): { entries: Entry[]; dataStart: number } {
  const { header, dataStart } = parseHeader(file);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => readEntry(name, value));
  return { entries, dataStart };
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
  const header: Record<string, unknown> = Object.keys(metadata).length ? { __metadata__: metadata } : {};
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    const expected = sizeOf(shape) * storedBytes[dtype];
    if (bytes.byteLength !== expected)
      throw new SafetensorsError(
        `tensor "${name}" of shape [${shape}] ${dtype} must hold ${expected} bytes, got ${bytes.byteLength}.`,
      );
    header[name] = { dtype, shape, data_offsets: [at, (at += bytes.byteLength)] };
  }
  return assemble(JSON.stringify(header), tensors, at);
}

function assemble(json: string, tensors: ReadonlyMap<string, HostTensor>, dataBytes: number): Uint8Array {
  const text = new TextEncoder().encode(json);
  const padded = Math.ceil(text.byteLength / 8) * 8;
  const file = new Uint8Array(headerBytes + padded + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.fill(0x20, headerBytes, headerBytes + padded);
  file.set(text, headerBytes);
  let at = headerBytes + padded;
  for (const { bytes } of tensors.values()) {
    file.set(bytes, at);
    at += bytes.byteLength;
  }
  return file;
}

/**
 * Tensors of a model split over several files, by its `*.safetensors.index.json`.
 * @throws SafetensorsError naming tensors that the index lists and no file holds.
 */
export async function readSharded(
  index: Uint8Array,
  readFile: (name: string) => Promise<Uint8Array>,
): Promise<Map<string, HostTensor>> {
  const map = parseJson(index)['weight_map'];
  if (typeof map !== 'object' || map === null) throw new SafetensorsError('index must hold a "weight_map" object.');
  const places = Object.entries(map as Record<string, string>);
  const all = new Map<string, HostTensor>();
  for (const file of new Set(places.map(([, name]) => name))) {
    if (/[\\/]/.test(file)) throw new SafetensorsError(`index must name files beside it, got "${file}".`);
    for (const [name, tensor] of readSafetensors(await readFile(file))) all.set(name, tensor);
  }
  const missing = places.filter(([name]) => !all.has(name)).map(([name, file]) => `${name} (${file})`);
  if (missing.length) throw new SafetensorsError(`index lists tensors that no file holds: ${missing.join(', ')}.`);
  return all;
}

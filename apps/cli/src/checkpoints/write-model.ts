import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  checkWeights,
  hostFloats,
  hostTensor,
  openSafetensors,
  safetensorsPieces,
  sameShape,
  type Shape,
  storedBytes,
  storedSize,
  type StoredTensor,
} from '@star-webgpu/tensor-webgpu';
import { folderFiles } from '@star-webgpu/tensor-webgpu/node';
import type { Conversion } from './conversion.ts';
import { kindTitles } from './recognise.ts';

export interface WriteOptions {
  readonly folder: string;
  readonly dtype: 'F32' | 'F16';
  /** Replaces a folder that is there. */
  readonly force: boolean;
  readonly signal: AbortSignal;
  /** Told how many of how many bytes are written. */
  readonly onBytes: (done: number, all: number) => void;
}

/** What was written. */
export interface WrittenModel {
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** Largest half float. */
const largestHalf = 65_504;

/** The model's tensors in their order. @throws WeightsError with every missing, unexpected and misshapen one */
export function fittingWeights({ kind, weights, shapes, unused }: Conversion): Map<string, StoredTensor> {
  checkWeights(kindTitles[kind], { needed: shapes, given: weights, ignore: unused });
  return new Map([...shapes.keys()].map((name) => [name, weights.get(name)!]));
}

/** Writes a model's folder: beside its place first, read back and compared, then moved there in one step. */
export async function writeModel(conversion: Conversion, options: WriteOptions): Promise<WrittenModel> {
  const { folder, force } = options;
  const weights = fittingWeights(conversion);
  await checkTarget(folder, force);
  const temporary = join(dirname(folder), `.${basename(folder)}.${process.pid}`);
  await rm(temporary, { recursive: true, force: true });
  try {
    const written = await writeFiles(conversion, weights, { ...options, folder: temporary });
    await replaceFolder(temporary, folder);
    return written;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function checkTarget(folder: string, force: boolean): Promise<void> {
  const there = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (there.length && !force)
    throw new Error(
      `convert: ${folder} must be empty, got ${there.length} files. Say --force to replace them, or name another folder.`,
    );
}

/** Moves a folder into its place; what was there goes only once the new one stands. */
async function replaceFolder(from: string, to: string): Promise<void> {
  const old = `${from}.old`;
  await rename(to, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(from, to);
  await rm(old, { recursive: true, force: true });
}

async function writeFiles(
  { files, shapes }: Conversion,
  weights: ReadonlyMap<string, StoredTensor>,
  options: WriteOptions,
): Promise<WrittenModel> {
  const { folder, dtype } = options;
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of files) await writeSynced(join(folder, name), [bytes]);
  const cast = castAll(weights, dtype);
  const bytes = [...cast.tensors.values()].reduce((sum, tensor) => sum + storedSize(tensor), 0);
  await writeSynced(join(folder, 'model.safetensors'), counted(safetensorsPieces(cast.tensors), bytes, options));
  refuseOverflow(cast.overflowing);
  await readBack(folder, shapes, cast.checksums);
  const parameters = [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return { tensors: shapes.size, parameters, bytes };
}

/** Writes pieces to a file and waits until they are on the disk. */
async function writeSynced(path: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'w');
  try {
    for await (const piece of pieces) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  all: number,
  { onBytes, signal }: WriteOptions,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const piece of pieces) {
    signal.throwIfAborted();
    yield piece;
    done += piece.byteLength;
    onBytes(Math.min(done, all), all);
  }
}

interface Cast {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Of what was written of each tensor. */
  readonly checksums: Map<string, number>;
  /** Tensors with values that half floats cannot hold. */
  readonly overflowing: Set<string>;
}

/** Tensors of another type, piece by piece, with a note of each one's checksum. */
function castAll(weights: ReadonlyMap<string, StoredTensor>, dtype: 'F32' | 'F16'): Cast {
  const checksums = new Map<string, number>();
  const overflowing = new Set<string>();
  const castOne = (name: string, stored: StoredTensor): StoredTensor => ({
    dtype,
    shape: stored.shape,
    pieces: async function* pieces() {
      let checksum = 0;
      for await (const piece of stored.pieces()) {
        const { bytes, overflows } = castPiece(piece, stored.dtype, dtype);
        if (overflows) overflowing.add(name);
        checksum = crc32(bytes, checksum);
        yield bytes;
      }
      checksums.set(name, checksum);
    },
  });
  const tensors = new Map([...weights].map(([name, stored]) => [name, castOne(name, stored)]));
  return { tensors, checksums, overflowing };
}

function castPiece(
  bytes: Uint8Array,
  from: StoredTensor['dtype'],
  to: 'F32' | 'F16',
): { readonly bytes: Uint8Array; readonly overflows?: boolean } {
  if (from === to) return { bytes };
  const values = hostFloats({ dtype: from, shape: [bytes.byteLength / storedBytes[from]], bytes });
  const overflows = to === 'F16' && hasLarger(values, largestHalf);
  return { bytes: hostTensor(values, [values.length], to).bytes, overflows };
}

/** True if a finite value is larger than a bound, either way. */
function hasLarger(values: Float32Array, bound: number): boolean {
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    if (size > bound && size !== Number.POSITIVE_INFINITY) return true;
  }
  return false;
}

function refuseOverflow(names: ReadonlySet<string>): void {
  if (names.size)
    throw new Error(
      `convert: values must be at most ${largestHalf} for f16, got larger ones in ${[...names].join(', ')}. Say --dtype f32.`,
    );
}

/** Compares a written folder with what was meant to be written. */
async function readBack(
  folder: string,
  shapes: ReadonlyMap<string, Shape>,
  checksums: ReadonlyMap<string, number>,
): Promise<void> {
  const tensors = await openSafetensors(await folderFiles(folder)('model.safetensors'));
  for (const [name, shape] of shapes) {
    const tensor = tensors.get(name);
    let checksum = 0;
    for await (const piece of tensor?.pieces() ?? []) checksum = crc32(piece, checksum);
    if (!tensor || !sameShape(tensor.shape, shape) || checksum !== checksums.get(name))
      throw new Error(
        `convert: ${name} must read back as it was written, got another. Check the disk, and convert again.`,
      );
  }
}

import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type ByteSource,
  type FileBytes,
  openSafetensors,
  openSharded,
  type StoredTensor,
} from '@star-webgpu/tensor-webgpu';
import { fileSource } from '@star-webgpu/tensor-webgpu/node';
import { openTorch, tensorsIn, type TorchValue } from '@star-webgpu/tensor-webgpu/torch';

/** Tensors of a file, of shards or of a folder, none of which is in memory. */
export interface Checkpoint {
  /** What kind of file it is, in words. */
  readonly format: string;
  /** The folder with the files. */
  readonly folder: string;
  readonly files: readonly string[];
  /** Length of all files in bytes. */
  readonly bytes: number;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** All of a torch file, with what it holds beside tensors. */
  readonly value?: TorchValue;
}

/** Names that a folder's weights have, best first. */
const weightFiles = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
];

/**
 * Opens a torch file, a safetensors file, an index of shards, or a folder with one of them, whatever its name ends in.
 * @throws Error naming the path, and what is wrong with the file
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new Error(`${path} must be a file or a folder, got nothing there. Correct the path.`);
  return named(path, found.isDirectory() ? () => openFolder(path) : () => openFile(path));
}

/** Puts the path before what a reader says of a file. */
async function named<T>(path: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** The weights of a folder, or of the folders inside it, as a model of ours has them. */
async function openFolder(folder: string): Promise<Checkpoint> {
  const names = await readdir(folder);
  const file = weightFiles.find((name) => names.includes(name));
  if (file) return openFile(join(folder, file));
  const parts: [string, Checkpoint][] = [];
  for (const name of names.toSorted()) {
    const inner = await readdir(join(folder, name)).catch((): string[] => []);
    if (weightFiles.some((one) => inner.includes(one))) parts.push([name, await openFolder(join(folder, name))]);
  }
  if (parts.length) return joined(folder, parts);
  throw new Error(`the folder must hold ${weightFiles.join(' or ')}, got none. Name the file.`);
}

/** Several folders as one, with their names before the tensors'. */
function joined(folder: string, parts: readonly (readonly [string, Checkpoint])[]): Checkpoint {
  return {
    format: `folder of ${parts.map(([name]) => name).join(', ')}`,
    folder,
    files: parts.flatMap(([name, { files }]) => files.map((file) => join(name, file))),
    bytes: parts.reduce((sum, [, { bytes }]) => sum + bytes, 0),
    tensors: new Map(
      parts.flatMap(([name, { tensors }]) =>
        [...tensors].map(([inner, tensor]) => [`${name}.${inner}`, tensor] as const),
      ),
    ),
  };
}

async function openFile(path: string): Promise<Checkpoint> {
  const folder = dirname(path);
  const source = await fileSource(path);
  if (path.endsWith('.json')) return openIndex(path, source);
  const one = { folder, files: [basename(path)], bytes: source.size };
  if (await isSafetensors(source)) return { ...one, format: 'safetensors', tensors: await openSafetensors(source) };
  const { format, value } = await openTorch(source);
  const words = format === 'zip' ? 'PyTorch checkpoint' : 'PyTorch checkpoint of the older format';
  return { ...one, format: words, value, tensors: tensorsIn(value) };
}

/** A safetensors or a torch file. */
const openShard = async (file: FileBytes): Promise<ReadonlyMap<string, StoredTensor>> =>
  (await isSafetensors(file as ByteSource)) ? openSafetensors(file) : tensorsIn((await openTorch(file)).value);

async function openIndex(path: string, source: ByteSource): Promise<Checkpoint> {
  const folder = dirname(path);
  const files = new Map<string, number>();
  const read = async (name: string): Promise<ByteSource> => {
    const file = await fileSource(join(folder, name));
    files.set(name, file.size);
    return file;
  };
  const tensors = await openSharded(source, read, { open: openShard });
  const bytes = [...files.values()].reduce((sum, size) => sum + size, 0);
  return { format: `${files.size} shards`, folder, files: [...files.keys()], bytes, tensors };
}

/** A header of JSON behind a length of 8 bytes. */
async function isSafetensors(source: ByteSource): Promise<boolean> {
  if (source.size < 9) return false;
  const head = await source.read(0, 9);
  return head[8] === 0x7b && head[7] === 0;
}

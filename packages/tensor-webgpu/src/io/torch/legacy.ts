import { storedBytes } from '../host-tensor.ts';
import type { ByteSource } from '../source.ts';
import { expectThat, shown } from './errors.ts';
import type { PickleValue } from './globals.ts';
import { PickleEndError, readPickle } from './pickle.ts';
import { readStorageId, type StorageId } from './storage-id.ts';
import type { TorchStorage } from './tensor.ts';
import { torchAt, type TorchValue } from './values.ts';

/** A storage that follows the pickles; where is known once they are read. */
interface Root extends Pick<StorageId, 'key' | 'dtype' | 'bytes'> {
  start: number | undefined;
}

interface Parsed {
  readonly value: TorchValue;
  readonly roots: ReadonlyMap<string, Root>;
  /** Keys of the storages in the order in which they follow. */
  readonly keys: TorchValue;
  /** Where the storages begin. */
  readonly end: number;
}

const firstWindow = 1 << 20;
const protocol = 1001;

/**
 * A file as torch.save wrote it before version 1.6: pickles of a magic number, a version, the machine, the value and the storages' keys,
 * then the storages, each behind its length.
 */
export async function openLegacy(source: ByteSource, start: number, largestPickle: number): Promise<TorchValue> {
  const parsed = await parseGrowing(source, start, Math.min(source.size, largestPickle));
  await locateStorages(source, parsed);
  return parsed.value;
}

/** Parses the file's beginning, more of it as long as a pickle does not end. */
async function parseGrowing(source: ByteSource, start: number, most: number): Promise<Parsed> {
  for (let window = Math.min(firstWindow, most); ; window = Math.min(4 * window, most)) {
    try {
      return parse(source, await source.read(0, window), start);
    } catch (error) {
      if (!(error instanceof PickleEndError) || window === most) throw error;
    }
  }
}

function parse(source: ByteSource, bytes: Uint8Array, start: number): Parsed {
  const roots = new Map<string, Root>();
  let end = start;
  const next = (persistent: (id: PickleValue | undefined) => PickleValue): TorchValue => {
    const read = readPickle(bytes, { source, persistent, start: end });
    end = read.end;
    return read.value;
  };
  const none = (): PickleValue => null;
  const version = next(none);
  expectThat(
    version === protocol,
    () => `protocol must be ${protocol}, got ${shown(version)}. Save the file again with a newer torch.`,
  );
  const little = torchAt(next(none), 'little_endian');
  expectThat(little === true, () => `file must be little-endian, got ${shown(little)}. Save it on another machine.`);
  const value = next((id) => legacyStorage(roots, readStorageId(id)));
  return { value, roots, keys: next(none), end };
}

/** A storage, or the part of one that an id names. */
function legacyStorage(roots: Map<string, Root>, { key, dtype, bytes, view }: StorageId): TorchStorage {
  const root = roots.get(key) ?? { key, dtype, bytes, start: undefined };
  roots.set(key, root);
  expectThat(
    root.dtype === dtype && root.bytes === bytes,
    () => `storage ${shown(key)} must have one type and length. The file is damaged; fetch it again.`,
  );
  const part = partOf(view, { key, dtype, bytes });
  const locate = async (): Promise<number> => {
    expectThat(
      root.start !== undefined,
      () => `file must hold storage ${shown(key)}, got none. It is damaged; fetch it again.`,
    );
    return root.start + part.start;
  };
  return { key, dtype, bytes: part.bytes, locate };
}

function partOf(
  view: PickleValue | undefined,
  { key, dtype, bytes }: Omit<StorageId, 'view'>,
): { start: number; bytes: number } {
  if (view === undefined || view === null) return { start: 0, bytes };
  const [, offset, elements] = (Array.isArray(view) ? view : []) as unknown[];
  const unit = dtype ? storedBytes[dtype] : 1;
  const [start, length] = [Number(offset) * unit, Number(elements) * unit];
  expectThat(
    start >= 0 && length >= 0 && start + length <= bytes,
    () => `part of storage ${shown(key)} must lie inside its ${bytes} bytes. The file is damaged; fetch it again.`,
  );
  return { start, bytes: length };
}

/** Walks over the storages behind the pickles. */
async function locateStorages(source: ByteSource, { roots, keys, end }: Parsed): Promise<void> {
  expectThat(
    Array.isArray(keys),
    () => `storages must be listed, got ${shown(keys)}. The file is damaged; fetch it again.`,
  );
  let at = end;
  for (const key of keys as TorchValue[]) {
    const root = roots.get(key as string);
    expectThat(
      root !== undefined,
      () => `storage ${shown(key)} must belong to a tensor. The file is damaged; fetch it again.`,
    );
    const header = await source.read(at, 8);
    const elements = Number(new DataView(header.buffer, header.byteOffset).getBigInt64(0, true));
    const bytes = elements * (root.dtype ? storedBytes[root.dtype] : 1);
    expectThat(
      bytes === root.bytes && at + 8 + bytes <= source.size,
      () =>
        `storage ${shown(key)} of ${root.bytes} bytes must fit the file, got ${bytes} at byte ${at}. The file is damaged; fetch it again.`,
    );
    root.start = at + 8;
    at += 8 + bytes;
  }
}

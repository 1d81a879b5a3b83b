import { storedBytes } from '../host-tensor.ts';
import { expectThat, shown } from './errors.ts';
import { type PickleValue, storageDType } from './globals.ts';
import type { TorchStorage } from './tensor.ts';

/** What a persistent id says: ('storage', type, key, device, elements, view). */
export interface StorageId extends Pick<TorchStorage, 'key' | 'dtype' | 'bytes'> {
  /** Part of the storage, of older files: (key, offset, elements). */
  readonly view?: PickleValue | undefined;
}

/** Reads a persistent id. @throws TorchFileError where it is none of a storage */
export function readStorageId(id: PickleValue | undefined): StorageId {
  const fits =
    Array.isArray(id) &&
    id.length >= 5 &&
    id[0] === 'storage' &&
    typeof id[2] === 'string' &&
    Number.isSafeInteger(id[4]);
  expectThat(fits, () => 'persistent id must name a storage. The file is damaged; fetch it again.');
  const [, type, key, , elements, view] = id as [string, PickleValue, string, unknown, number, PickleValue?];
  const dtype = storageDType(type);
  const bytes = elements * (dtype ? storedBytes[dtype] : 1);
  expectThat(
    bytes >= 0 && Number.isSafeInteger(bytes),
    () => `storage ${shown(key)} must have a length, got ${elements}.`,
  );
  return { key, dtype, bytes, view };
}

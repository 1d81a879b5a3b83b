import { type FileBytes, type ByteSource, sourceOf } from '../source.ts';
import { crc32 } from './crc32.ts';
import { expectThat, shown, TorchFileError } from './errors.ts';
import type { PickleValue } from './globals.ts';
import { openLegacy } from './legacy.ts';
import { readPickle } from './pickle.ts';
import { readStorageId, type StorageId } from './storage-id.ts';
import type { TorchStorage } from './tensor.ts';
import type { TorchValue } from './values.ts';
import { locateEntry, openZip, type ZipEntries, type ZipEntry } from './zip.ts';

/** A torch file: what it holds, with tensors that are read from the file when they are asked for. */
export interface TorchFile {
  readonly format: 'zip' | 'legacy';
  readonly value: TorchValue;
}

/** More than any state_dict's structure takes; tensors are not part of it. */
const largestPickle = 64 << 20;

const zipMagic = [0x50, 0x4b, 0x03, 0x04];
/** A pickle of the number 0x1950a86a20f9469cfc6c. */
const legacyMagic = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];

const startsWith = (bytes: Uint8Array, start: readonly number[]): boolean =>
  start.every((byte, i) => bytes[i] === byte);

/**
 * Opens what torch.save wrote, of any size: the structure is read, tensors are not. Only dictionaries, lists, plain values and tensors
 * are accepted, and nothing of the file is ever executed.
 * @throws TorchFileError naming what is damaged, of another format, or not accepted
 */
export async function openTorch(file: FileBytes): Promise<TorchFile> {
  const source = sourceOf(file);
  const head = await source.read(0, Math.min(64, source.size));
  if (startsWith(head, zipMagic)) return { format: 'zip', value: await openArchive(source) };
  if (startsWith(head, legacyMagic))
    return { format: 'legacy', value: await openLegacy(source, legacyMagic.length, largestPickle) };
  throw new TorchFileError(`file must be what torch.save writes, got ${kindOf(head)}.`);
}

/** What a file that torch did not write seems to be. */
function kindOf(head: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(head);
  if (text.startsWith('version https://git-lfs'))
    return 'a pointer of Git LFS. Fetch the file itself with git lfs pull';
  if (/^\s*<(!doctype|html)/i.test(text)) return 'a web page. Download the file itself';
  if (text[8] === '{') return 'a safetensors file. Give it a name that ends in .safetensors';
  if (text.slice(0, 2) === '\u001f\u008b') return 'a gzip file. Unpack it first';
  if (head[0] === 0x80) return 'another pickle. Save it again with torch.save';
  return head.length
    ? `bytes that begin with ${shown(text.slice(0, 16))}. Fetch it again`
    : 'an empty file. Fetch it again';
}

async function openArchive(source: ByteSource): Promise<TorchValue> {
  const entries = await openZip(source);
  const prefix = prefixOf(entries);
  await checkOrder(source, entries.get(`${prefix}/byteorder`));
  const bytes = await readEntry(source, entries.get(`${prefix}/data.pkl`)!);
  const storages = new Map<string, TorchStorage>();
  const persistent = (id: PickleValue | undefined): TorchStorage => {
    const { key, ...rest } = readStorageId(id);
    const known = storages.get(key);
    if (known && known.dtype === rest.dtype && known.bytes >= rest.bytes) return known;
    const storage = zipStorage(source, entries.get(`${prefix}/data/${key}`), { key, ...rest });
    storages.set(key, storage);
    return storage;
  };
  return readPickle(bytes, { source, persistent }).value;
}

/** The folder of an archive that holds its data.pkl. */
function prefixOf(entries: ZipEntries): string {
  const name = [...entries.keys()].find((entry) => /^[^/]*\/data\.pkl$/.test(entry));
  expectThat(name !== undefined, () => 'archive must hold a data.pkl, got none. It is another kind of zip file.');
  const prefix = name.slice(0, -'/data.pkl'.length);
  expectThat(
    !entries.has(`${prefix}/constants.pkl`),
    () =>
      'archive must hold a state_dict, got a TorchScript program. Load it in PyTorch and save its state_dict() with torch.save.',
  );
  return prefix;
}

async function checkOrder(source: ByteSource, entry: ZipEntry | undefined): Promise<void> {
  const order = entry ? new TextDecoder().decode(await readEntry(source, entry)) : 'little';
  expectThat(
    order === 'little',
    () => `byte order must be little, got ${shown(order)}. Save the file on another machine.`,
  );
}

/** A small entry, checked against its checksum. */
async function readEntry(source: ByteSource, entry: ZipEntry): Promise<Uint8Array> {
  const { name, size, crc } = entry;
  expectThat(size <= largestPickle, () => `${shown(name)} must have at most ${largestPickle} bytes, got ${size}.`);
  const bytes = await source.read(await locateEntry(source, entry), size);
  expectThat(
    crc32(bytes) === crc,
    () => `${shown(name)} must have the checksum ${crc}, got ${crc32(bytes)}. The archive is damaged; fetch it again.`,
  );
  return bytes;
}

function zipStorage(source: ByteSource, entry: ZipEntry | undefined, { key, dtype, bytes }: StorageId): TorchStorage {
  expectThat(
    entry !== undefined,
    () => `archive must hold storage ${shown(key)}, got none. It is damaged; fetch it again.`,
  );
  expectThat(
    bytes <= entry.size,
    () => `storage ${shown(key)} must have ${bytes} bytes, got ${entry.size}. The archive is damaged; fetch it again.`,
  );
  let place: Promise<number> | undefined;
  return { key, dtype, bytes: entry.size, crc: entry.crc, locate: () => (place ??= locateEntry(source, entry)) };
}

import { createHash } from 'node:crypto';
import { open, type Database, type RootDatabase } from 'lmdb';
import { encodeArray, LAYOUT, type PackHeader, type PackRecord, type StoredArray } from './schema.ts';
import type { Refusal } from './source.ts';

/** How far a pack in the making has come. */
export interface Standing {
  /** Entries of the source that were dealt with before this file. */
  from: number;
  /** Entries that are dealt with, refused ones included. */
  done: number;
  /** Bytes handed over. */
  bytes: number;
}

/** One file of a pack, open for writing; what happens inside a `transaction` is in the file as a whole or not at all. */
export class PartWriter {
  /** Pictures in it. */
  pictures: number;
  private readonly root: RootDatabase<Buffer, string>;
  private readonly records: Database<PackRecord, string>;
  private readonly images: Database<Buffer, string>;
  private readonly arrays: Database<Buffer, string[]>;
  private readonly checksums: Database<Buffer, string | string[]>;
  private readonly refusals: Database<Refusal, number>;

  constructor(file: string) {
    this.root = open({ path: file, noSubdir: true, maxDbs: 8, encoding: 'binary' });
    this.records = this.root.openDB(LAYOUT.records, { encoding: 'json' });
    this.images = this.root.openDB(LAYOUT.images, { encoding: 'binary' });
    this.arrays = this.root.openDB(LAYOUT.arrays, { encoding: 'binary' });
    this.checksums = this.root.openDB(LAYOUT.checksums, { encoding: 'binary' });
    this.refusals = this.root.openDB(LAYOUT.refusals, { encoding: 'json' });
    this.pictures = this.records.getKeysCount();
  }

  transaction(action: () => void): void {
    this.root.transactionSync(action);
  }

  putPicture(key: string, record: PackRecord, image: Uint8Array): void {
    this.records.putSync(key, record);
    this.images.putSync(key, asBuffer(image));
    this.checksums.putSync(key, pictureChecksum(Buffer.from(JSON.stringify(record)), image));
  }

  putArray(kind: string, key: string, array: StoredArray): void {
    const bytes = encodeArray(array);
    this.arrays.putSync([kind, key], asBuffer(bytes));
    this.checksums.putSync([kind, key], checksum(bytes));
  }

  hasArray(kind: string, key: string): boolean {
    return this.arrays.doesExist([kind, key]);
  }

  putRefusal(entry: number, refusal: Refusal): void {
    this.refusals.putSync(entry, refusal);
  }

  putStanding(standing: Standing): void {
    this.root.putSync(LAYOUT.standing, Buffer.from(JSON.stringify(standing)));
  }

  putHeader(header: PackHeader): void {
    this.root.putSync(LAYOUT.header, Buffer.from(JSON.stringify(header)));
  }

  /** What an earlier writer of the file said last. */
  standing(): Standing | undefined {
    const bytes = this.root.get(LAYOUT.standing);
    return bytes === undefined ? undefined : (JSON.parse(bytes.toString()) as Standing);
  }

  keys(): Iterable<string> {
    return this.records.getKeys();
  }

  refused(): Refusal[] {
    return [...this.refusals.getRange()].map(({ value }) => value);
  }

  async close(): Promise<void> {
    await this.root.close();
  }
}

/** SHA-256 of bytes. */
export const checksum = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** What a pack keeps to tell that neither a picture nor its record has changed. */
export const pictureChecksum = (record: Uint8Array, image: Uint8Array): Buffer => checksum(record, image);

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { AsyncBuffer, FileMetaData } from 'hyparquet';
import { CAPTION_FIELDS, captionsIn } from './captions.ts';
import { messageOf, PackError } from './errors.ts';
import { explainMissing, stemOf } from './files.ts';
import type { PackSource, SourceEntry } from './source.ts';

/** Columns that may hold the picture, and those that may name it; the first that a table has counts. */
const PICTURE_COLUMNS = ['image', 'jpg', 'png', 'webp', 'file_name', 'file', 'image_path', 'path'];
const KEY_COLUMNS = ['key', 'id'];
/** Row groups whose pictures are kept in memory: the packer reads one row after the other, several at a time. */
const GROUPS_KEPT = 2;

/** The libraries take a tenth of a second to load, which only those who read a table should wait for. */
const parquet = async () => ({ ...(await import('hyparquet')), ...(await import('hyparquet-compressors')) });

type Row = Readonly<Record<string, unknown>>;

/**
 * A parquet table with a picture a row: bytes, a path relative to the table, or Hugging Face's `{ bytes, path }`; captions stand in the
 * columns that a JSON record would have as fields, lists too. Keys come from `key` or `id`, or are the table's name and the row's number.
 * Pictures are read a row group at a time.
 */
export async function parquetSource(path: string): Promise<PackSource> {
  const table = await Table.open(path);
  const rows = await table.listing();
  const entries = rows.map((row, index): SourceEntry => ({
    key: keyOf(row) ?? `${stemOf(basename(path))}-${String(index).padStart(6, '0')}`,
    file: `${path}#${index}`,
    captions: captionsIn(row),
    captionFault: `no caption in row ${index}`,
    read: () => table.picture(index),
  }));
  return { origin: path, entries, refused: [] };
}

function keyOf(row: Row): string | undefined {
  const value = KEY_COLUMNS.map((name) => row[name]).find((found) => found !== undefined && found !== null);
  return value === undefined ? undefined : String(value);
}

class Table {
  private readonly path: string;
  private readonly file: AsyncBuffer;
  private readonly metadata: FileMetaData;
  private readonly columns: ReadonlySet<string>;
  private readonly pictureColumn: string;
  private readonly groups = new Map<number, Promise<Row[]>>();

  private constructor(path: string, file: AsyncBuffer, metadata: FileMetaData) {
    this.path = path;
    this.file = file;
    this.metadata = metadata;
    this.columns = new Set(
      metadata.row_groups.flatMap(({ columns }) => columns.map(({ meta_data }) => meta_data?.path_in_schema[0] ?? '')),
    );
    const column = PICTURE_COLUMNS.find((name) => this.columns.has(name));
    if (column === undefined)
      throw unfit(path, `a column of ${PICTURE_COLUMNS.join(', ')}`, [...this.columns].join(', '));
    this.pictureColumn = column;
  }

  static async open(path: string): Promise<Table> {
    await explainMissing(path, stat(path));
    const { asyncBufferFromFile, parquetMetadataAsync } = await parquet();
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file).catch((error: unknown) => {
      throw unfit(path, 'whole metadata', messageOf(error));
    });
    checkRows(path, file, metadata);
    return new Table(path, file, metadata);
  }

  /** All rows without their pictures. */
  async listing(): Promise<Row[]> {
    const columns = [...KEY_COLUMNS, ...CAPTION_FIELDS].filter((name) => this.columns.has(name));
    const count = Number(this.metadata.num_rows);
    if (columns.length === 0) return Array.from({ length: count }, () => ({}));
    return await this.read({ columns, rowStart: 0, rowEnd: count, utf8: true });
  }

  /** Bytes of the picture in a row. */
  async picture(index: number): Promise<Uint8Array> {
    const { rowStart, rowEnd } = this.groupOf(index);
    const rows = await this.group(rowStart, rowEnd);
    return await this.bytesOf(rows[index - rowStart]?.[this.pictureColumn]);
  }

  private async bytesOf(value: unknown): Promise<Uint8Array> {
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string') return await readFile(isAbsolute(value) ? value : join(dirname(this.path), value));
    const { bytes, path } = (value ?? {}) as { bytes?: unknown; path?: unknown };
    if (bytes instanceof Uint8Array) return bytes;
    if (typeof path === 'string') return await this.bytesOf(path);
    throw new Error(`neither bytes nor a path in column ${this.pictureColumn}`);
  }

  /** First row of the row group that a row is in, and the first behind it. */
  private groupOf(index: number): { rowStart: number; rowEnd: number } {
    let rowStart = 0;
    for (const { num_rows } of this.metadata.row_groups) {
      const rowEnd = rowStart + Number(num_rows);
      if (index < rowEnd) return { rowStart, rowEnd };
      rowStart = rowEnd;
    }
    throw new Error(`row ${index} lies behind the table's end`);
  }

  /** Pictures of a row group; the group that was read longest ago is forgotten. */
  private group(rowStart: number, rowEnd: number): Promise<Row[]> {
    const known = this.groups.get(rowStart);
    if (known !== undefined) return known;
    const rows = this.read({ columns: [this.pictureColumn], rowStart, rowEnd, utf8: false });
    this.groups.set(rowStart, rows);
    for (const oldest of this.groups.keys()) if (this.groups.size > GROUPS_KEPT) this.groups.delete(oldest);
    return rows;
  }

  private async read(part: { columns: string[]; rowStart: number; rowEnd: number; utf8: boolean }): Promise<Row[]> {
    const { file, metadata } = this;
    const { parquetReadObjects, compressors } = await parquet();
    return await parquetReadObjects({ file, metadata, compressors, ...part }).catch((error: unknown) => {
      throw unfit(this.path, `readable rows ${part.rowStart} to ${part.rowEnd - 1}`, messageOf(error));
    });
  }
}

/** A picture takes at least a byte, so a damaged count of rows shows before anybody walks through them. */
function checkRows(path: string, { byteLength }: AsyncBuffer, { num_rows, row_groups }: FileMetaData): void {
  const sum = row_groups.reduce((rows, group) => rows + group.num_rows, 0n);
  const isNatural = row_groups.every((group) => group.num_rows >= 0n);
  if (!isNatural || sum !== num_rows || num_rows > byteLength)
    throw unfit(path, 'whole metadata', `${num_rows} rows, ${sum} in its row groups, in ${byteLength} bytes`);
}

function unfit(path: string, condition: string, got: string): PackError {
  return new PackError(
    'format',
    `pack: source must be a parquet table with ${condition}, got ${got} in ${path}. Copy it again, or rename its columns.`,
    { path },
  );
}

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { FileMetaData } from 'hyparquet';
import { CAPTION_FIELDS, captionsIn } from './captions.ts';
import { messageOf, PackError } from './errors.ts';
import { explainMissing, stemOf } from './files.ts';
import { askParquet, type ParquetRow } from './parquet-thread.ts';
import type { PackSource, SourceEntry } from './source.ts';

/** Columns that may hold the picture, and those that may name it; the first that a table has counts. */
const PICTURE_COLUMNS = ['image', 'jpg', 'png', 'webp', 'file_name', 'file', 'image_path', 'path'];
const KEY_COLUMNS = ['key', 'id'];
/** Row groups whose pictures are kept in memory: the packer reads one row after the other, several at a time. */
const GROUPS_KEPT = 2;

/** Milliseconds that a row group may take: a damaged page would keep the library busy for hours. */
const TIME_LIMIT = 120_000;

/** How to read a table. */
export interface ParquetOptions {
  /** Milliseconds that a row group may take, before it is given up as damaged. Default two minutes. */
  timeLimit?: number;
}

/** Rows of a row group: the first, and the one behind the last. */
interface RowGroup {
  index: number;
  rowStart: number;
  rowEnd: number;
}

/**
 * A parquet table with a picture a row: bytes, a path relative to the table, or Hugging Face's `{ bytes, path }`; captions stand in the
 * columns that a JSON record would have as fields, lists too. Keys come from `key` or `id`, or are the table's name and the row's number.
 * Pictures are read a row group at a time,
 * in a thread that is ended where it does not come to an end.
 */
export async function parquetSource(path: string, options: ParquetOptions = {}): Promise<PackSource> {
  const table = await Table.open(path, options.timeLimit ?? TIME_LIMIT);
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

function keyOf(row: ParquetRow): string | undefined {
  const value = KEY_COLUMNS.map((name) => row[name]).find((found) => found !== undefined && found !== null);
  return value === undefined ? undefined : String(value);
}

class Table {
  private readonly path: string;
  private readonly timeLimit: number;
  private readonly rowGroups: readonly RowGroup[];
  private readonly columns: ReadonlySet<string>;
  private readonly pictureColumn: string;
  private readonly groups = new Map<RowGroup, Promise<ParquetRow[]>>();

  private constructor(path: string, { row_groups }: FileMetaData, timeLimit: number) {
    this.path = path;
    this.timeLimit = timeLimit;
    let rowStart = 0;
    this.rowGroups = row_groups.map(({ num_rows }, index) => {
      const rowEnd = rowStart + Number(num_rows);
      return { index, rowStart: rowEnd - Number(num_rows), rowEnd: (rowStart = rowEnd) };
    });
    this.columns = new Set(
      row_groups.flatMap(({ columns }) => columns.map(({ meta_data }) => meta_data?.path_in_schema[0] ?? '')),
    );
    const column = PICTURE_COLUMNS.find((name) => this.columns.has(name));
    if (column === undefined)
      throw unfit(path, `a column of ${PICTURE_COLUMNS.join(', ')}`, [...this.columns].join(', '));
    this.pictureColumn = column;
  }

  static async open(path: string, timeLimit: number): Promise<Table> {
    await explainMissing(path, stat(path));
    const answer = await askParquet({ path }, timeLimit).catch((error: unknown) => {
      throw unfit(path, 'whole metadata', messageOf(error));
    });
    if (!('metadata' in answer)) throw unfit(path, 'whole metadata', 'rows');
    checkRows(path, answer);
    return new Table(path, answer.metadata, timeLimit);
  }

  /** All rows without their pictures. */
  async listing(): Promise<ParquetRow[]> {
    const columns = [...KEY_COLUMNS, ...CAPTION_FIELDS].filter((name) => this.columns.has(name));
    const rows: ParquetRow[] = [];
    for (const group of this.rowGroups) {
      const count = group.rowEnd - group.rowStart;
      const own = columns.length === 0 ? new Array<ParquetRow>(count).fill({}) : await this.read(group, columns, true);
      for (const row of own) rows.push(row);
    }
    return rows;
  }

  /** Bytes of the picture in a row. */
  async picture(index: number): Promise<Uint8Array> {
    const group = this.rowGroups.find(({ rowEnd }) => index < rowEnd);
    if (group === undefined) throw new Error(`row ${index} lies behind the table's end`);
    const rows = await this.group(group);
    return await this.bytesOf(rows[index - group.rowStart]?.[this.pictureColumn]);
  }

  private async bytesOf(value: unknown): Promise<Uint8Array> {
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string') return await readFile(isAbsolute(value) ? value : join(dirname(this.path), value));
    const { bytes, path } = (value ?? {}) as { bytes?: unknown; path?: unknown };
    if (bytes instanceof Uint8Array) return bytes;
    if (typeof path === 'string') return await this.bytesOf(path);
    throw new Error(`neither bytes nor a path in column ${this.pictureColumn}`);
  }

  /** Pictures of a row group; the group that was read longest ago is forgotten. */
  private group(group: RowGroup): Promise<ParquetRow[]> {
    const known = this.groups.get(group);
    if (known !== undefined) return known;
    const rows = this.read(group, [this.pictureColumn], false);
    this.groups.set(group, rows);
    for (const oldest of this.groups.keys()) if (this.groups.size > GROUPS_KEPT) this.groups.delete(oldest);
    return rows;
  }

  private async read({ index, ...rows }: RowGroup, columns: string[], utf8: boolean): Promise<ParquetRow[]> {
    const { path, timeLimit } = this;
    try {
      const answer = await askParquet({ path, part: { columns, utf8, ...rows } }, timeLimit);
      return 'rows' in answer ? answer.rows : [];
    } catch (error) {
      const { rowStart, rowEnd } = rows;
      throw unfit(path, `readable rows ${rowStart} to ${rowEnd - 1} in row group ${index}`, messageOf(error));
    }
  }
}

/** A picture takes at least a byte, so a damaged count of rows shows before anybody walks through them. */
function checkRows(path: string, { metadata, bytes }: { metadata: FileMetaData; bytes: number }): void {
  const { num_rows, row_groups } = metadata;
  const sum = row_groups.reduce((rows, group) => rows + group.num_rows, 0n);
  const isNatural = row_groups.every((group) => group.num_rows >= 0n);
  if (!isNatural || sum !== num_rows || num_rows > bytes)
    throw unfit(path, 'whole metadata', `${num_rows} rows, ${sum} in its row groups, in ${bytes} bytes`);
}

function unfit(path: string, condition: string, got: string): PackError {
  return new PackError(
    'format',
    `pack: source must be a parquet table with ${condition}, got ${got} in ${path}. Copy it again, or rename its columns.`,
    { path },
  );
}

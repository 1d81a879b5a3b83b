import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

const stepOf = (line: string): number => Number(/"step":(\d+)/.exec(line)?.[1]);

/** Length of the whole lines before a step, in bytes. */
async function lengthBefore(file: FileHandle, step: number): Promise<number> {
  const { size } = await file.stat();
  let length = 0;
  for await (const line of file.readLines({ start: 0, autoClose: false })) {
    const next = length + Buffer.byteLength(line) + 1;
    if (next > size || stepOf(line) >= step) break;
    length = next;
  }
  return length;
}

/** A file with one JSON object a line and a step. Each line is in the file when its call resolves. */
export class LineLog {
  private readonly file: FileHandle;

  private constructor(file: FileHandle) {
    this.file = file;
  }

  /** Opens a log, to go on with it or to begin it. */
  static async open(path: string): Promise<LineLog> {
    await mkdir(dirname(path), { recursive: true });
    return new LineLog(await open(path, 'a+'));
  }

  /** Drops the lines from a step on, and a last line that was cut. */
  async restart(step: number): Promise<void> {
    await this.file.truncate(await lengthBefore(this.file, step));
  }

  /** Adds a line; numbers have nine digits, which tell any f32 apart. */
  async add(line: { readonly step: number } & Readonly<Record<string, unknown>>): Promise<void> {
    await this.file.appendFile(`${JSON.stringify(line, (_, value: unknown) => shortened(value))}\n`);
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

const shortened = (value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value;

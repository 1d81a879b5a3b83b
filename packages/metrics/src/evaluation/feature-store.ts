import { type FileHandle, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MetricError } from '../picture.ts';

/** What features were made of; another text means other features. */
export interface FeatureOrigin {
  /** Network, layer, pictures and their order. */
  readonly identity: string;
  /** Features of a picture. */
  readonly width: number;
}

/**
 * Features of pictures in order, in a file that survives a kill: one row of float32 a picture, little-endian, and beside it what they are of.
 * A torn last row is cut off; features of another origin are made anew.
 */
export class FeatureStore {
  private readonly file: FileHandle;
  private readonly width: number;
  private rows: number;

  private constructor(file: FileHandle, width: number, rows: number) {
    this.file = file;
    this.width = width;
    this.rows = rows;
  }

  /** Opens or begins a store. */
  static async open(path: string, { identity, width }: FeatureOrigin): Promise<FeatureStore> {
    await mkdir(dirname(path), { recursive: true });
    const [origin, wanted] = [`${path}.json`, `${JSON.stringify({ identity, width })}\n`];
    const found = await readFile(origin, 'utf8').catch(() => undefined);
    if (found !== wanted) {
      await rm(path, { force: true });
      await writeFile(`${origin}.new`, wanted);
      await rename(`${origin}.new`, origin);
    }
    const file = await open(path, 'a+');
    const { size } = await file.stat();
    const rows = Math.floor(size / (4 * width));
    if (size > rows * 4 * width) await file.truncate(rows * 4 * width);
    return new FeatureStore(file, width, rows);
  }

  /** Pictures whose features are there. */
  get count(): number {
    return this.rows;
  }

  /** Adds the next picture's features. @throws MetricError if their number is another one. */
  async add(features: Float32Array): Promise<void> {
    if (features.length !== this.width)
      throw new MetricError('FeatureStore', `features must number ${this.width}, got ${features.length}.`);
    await this.file.appendFile(new Uint8Array(features.buffer, features.byteOffset, features.byteLength));
    this.rows++;
  }

  /** Features of all pictures so far, in order. */
  async all(): Promise<Float32Array[]> {
    const bytes = 4 * this.width;
    const each: Float32Array[] = [];
    // Row by row: thirty thousand pictures do not fit one buffer.
    for (let row = 0; row < this.rows; row++) {
      const values = new Float32Array(this.width);
      await this.file.read(new Uint8Array(values.buffer), 0, bytes, row * bytes);
      each.push(values);
    }
    return each;
  }

  /** Closes the file. */
  async close(): Promise<void> {
    await this.file.close();
  }
}

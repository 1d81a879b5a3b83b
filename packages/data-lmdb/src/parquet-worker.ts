// Reads parquet tables in a thread: a damaged page can keep the library busy for hours, and this thread can be ended.
import { parentPort } from 'node:worker_threads';
import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetReadObjects,
  type AsyncBuffer,
  type FileMetaData,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { ParquetAnswer, ParquetQuestion, ParquetRow } from './parquet-thread.ts';

/** The table that was asked for last: questions about one come in a row. */
let table: { path: string; file: AsyncBuffer; metadata: FileMetaData } | undefined;

async function open(path: string): Promise<NonNullable<typeof table>> {
  const file = await asyncBufferFromFile(path);
  return { path, file, metadata: await parquetMetadataAsync(file) };
}

async function answer({ path, part }: ParquetQuestion): Promise<ParquetAnswer> {
  try {
    table = table?.path === path ? table : await open(path);
    const { file, metadata } = table;
    if (part === undefined) return { metadata, bytes: file.byteLength };
    return { rows: (await parquetReadObjects({ file, metadata, compressors, ...part })) as ParquetRow[] };
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}

/** The memory behind the bytes of all rows: it goes to the other thread instead of being copied. */
function buffersOf(value: unknown, found: Set<ArrayBuffer> = new Set()): Set<ArrayBuffer> {
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer) found.add(value.buffer);
  } else if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(value)) buffersOf(inner, found);
  return found;
}

parentPort?.on('message', async (question: ParquetQuestion) => {
  const answered = await answer(question);
  parentPort?.postMessage(answered, 'rows' in answered ? [...buffersOf(answered.rows)] : []);
});

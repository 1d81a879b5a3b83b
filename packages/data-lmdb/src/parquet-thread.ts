import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FileMetaData } from 'hyparquet';
import pLimit from 'p-limit';

export type ParquetRow = Readonly<Record<string, unknown>>;

/** Rows of some columns of a table; its metadata without `part`. */
export interface ParquetQuestion {
  path: string;
  part?: { columns: string[]; rowStart: number; rowEnd: number; utf8: boolean };
}

export type ParquetAnswer = { metadata: FileMetaData; bytes: number } | { rows: ParquetRow[] } | { fault: string };

/** Megabytes of objects that the thread may hold: a damaged count must not end the whole process. */
const MEMORY = 1024;

let worker: Worker | undefined;
/** One question at a time, so that it is known which of them got no answer. */
const inTurn = pLimit(1);

/** Asks the thread that reads tables; one that does not answer within the limit, in milliseconds, is ended. @throws Error that says what was wrong */
export function askParquet(
  question: ParquetQuestion,
  limit: number,
): Promise<Exclude<ParquetAnswer, { fault: string }>> {
  return inTurn(async () => {
    const answer = await ask(question, limit);
    if ('fault' in answer) throw new Error(answer.fault);
    return answer;
  });
}

async function ask(question: ParquetQuestion, limit: number): Promise<ParquetAnswer> {
  const thread = (worker ??= startThread());
  thread.ref();
  try {
    thread.postMessage(question);
    const [answer] = (await once(thread, 'message', { signal: AbortSignal.timeout(limit) })) as [ParquetAnswer];
    thread.unref();
    return answer;
  } catch (error) {
    worker = undefined;
    await thread.terminate();
    throw error instanceof Error && error.name === 'AbortError'
      ? new Error(`no answer within ${limit / 1000} s`, { cause: error })
      : error;
  }
}

/** The module beside this one in a thread: what was built of it, or the source, which tsx translates. */
function startThread(): Worker {
  const ending = extname(import.meta.url);
  const url = new URL(`./parquet-worker${ending}`, import.meta.url);
  const resourceLimits = { maxOldGenerationSizeMb: MEMORY };
  if (ending === '.js') return new Worker(url, { resourceLimits });
  const [tsx, source] = [import.meta.resolve('tsx/esm/api'), url.href].map((text) => JSON.stringify(text));
  const translated = `import(${tsx}).then(({ register }) => (register(), import(${source})))`;
  return new Worker(translated, { eval: true, resourceLimits });
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../write-whole.ts';

/** A file of a run's folder that says what the run was begun with. */
interface KeptFile<Value> {
  readonly folder: string;
  readonly name: string;
  /** What must not differ, as the error's first words say it: what it is, and what was got instead. */
  readonly what: readonly [must: string, got: string];
  /** The value of a file's text. */
  readonly parse: (file: string, text: string) => Value;
  /** A line for each difference that matters. */
  readonly differences: (before: Value, now: Value) => readonly string[];
}

/**
 * Keeps a value in a run's folder as JSON.
 * @throws Error naming each difference from what the checkpoints there were made with, unless changes are allowed; nothing is written then
 */
export async function keepJson<Value>(kept: KeptFile<Value>, now: Value, allowChanges: boolean): Promise<void> {
  const { folder, name, what, differences } = kept;
  const before = (await hasCheckpoints(folder)) ? await stored(kept) : undefined;
  const lines = before === undefined ? [] : differences(before, now);
  if (lines.length && !allowChanges)
    throw new Error(
      `train: ${what[0]} must be that of the run in ${folder}, got ${what[1]}:\n${lines.map((line) => `  ${line}`).join('\n')}\nUse another folder, or --allow-changes to go on with them.`,
    );
  await writeWhole(join(folder, name), `${JSON.stringify(now, null, 2)}\n`);
}

const hasCheckpoints = async (folder: string): Promise<boolean> =>
  (await readdir(join(folder, 'checkpoints')).catch(() => [])).some((name) => name.startsWith('step-'));

/** Nothing where there is no such file, as in folders of before it was kept. */
async function stored<Value>({ folder, name, parse }: KeptFile<Value>): Promise<Value | undefined> {
  const file = join(folder, name);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : parse(file, text);
}

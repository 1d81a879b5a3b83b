import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestOfText, passingFolder, replaceFolder, syncFolder, type WriteFile, writeText } from './files.ts';
import type { TrainingState } from './state.ts';

/** Files of a checkpoint by path, in pieces that are given away. */
export type CheckpointFiles = ReadonlyMap<string, readonly Uint8Array[]>;

export interface CheckpointContent {
  readonly files: CheckpointFiles;
  readonly state: TrainingState;
}

/** A checkpoint's `state.json`. */
export interface StoredState extends TrainingState {
  /** SHA-256 of each file. */
  readonly checksums: Readonly<Record<string, string>>;
  /** SHA-256 of all else in this file. */
  readonly checksum?: string;
}

/** Names of checkpoints sort by their steps. */
export const nameOf = (step: number): string => `step-${String(step).padStart(8, '0')}`;
export const isCheckpoint = (name: string): boolean => /^step-\d{8}$/.test(name);

/** What the checksum of a state is of. */
export const stateText = (state: Omit<StoredState, 'checksum'>): string => JSON.stringify(state);

/** Writes a checkpoint into a temporary folder, syncs it and renames it: a kill at any moment leaves the older ones whole, and a failure nothing. */
export async function writeCheckpoint(
  root: string,
  { files, state }: CheckpointContent,
  writeFile: WriteFile,
): Promise<void> {
  const temporary = passingFolder(root);
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    const checksums: Record<string, string> = {};
    const folders = new Set([temporary]);
    for (const [path, pieces] of files) {
      const target = join(temporary, path);
      await mkdir(dirname(target), { recursive: true });
      for (let folder = dirname(target); folder !== temporary; folder = dirname(folder)) folders.add(folder);
      checksums[path] = await writeFile(target, pieces);
    }
    const stored = { ...state, checksums };
    const text = JSON.stringify({ ...stored, checksum: digestOfText(stateText(stored)) }, null, 2);
    await writeText(join(temporary, 'state.json'), `${text}\n`);
    for (const folder of folders) await syncFolder(folder);
    await replaceFolder(temporary, join(root, nameOf(state.step)));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { LossScaleState } from '@star-webgpu/tensor-webgpu';

/** Where a run stands; what a checkpoint holds beside weights and moments. */
export interface TrainingState {
  readonly stage: string;
  /** Steps done. */
  readonly step: number;
  readonly cursor: { readonly epoch: number; readonly step: number };
  readonly seed: number;
  /** What the stage keeps beside its weights. */
  readonly stageState?: unknown;
  /** The loss scale of a run in half precision. */
  readonly lossScale?: LossScaleState | undefined;
}

/** A checkpoint that was found whole. */
export interface Checkpoint {
  readonly folder: string;
  readonly state: TrainingState;
  readonly readFile: (path: string) => Promise<Uint8Array>;
}

const folderOf = (step: number): string => `step-${String(step).padStart(8, '0')}`;
const isCheckpoint = (name: string): boolean => /^step-\d{8}$/.test(name);
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Writes a file and waits until it is on the disk. */
async function writeThrough(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes renames inside a folder survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

export interface WriteOptions {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly state: TrainingState;
  /** Older checkpoints beyond this many are removed. */
  readonly keep: number;
}

/** Writes a checkpoint: into a temporary folder, synced, then renamed, so that a kill at any moment leaves the older ones whole. */
export async function writeCheckpoint(root: string, { files, state, keep }: WriteOptions): Promise<string> {
  await mkdir(root, { recursive: true });
  const temporary = join(root, `.writing-${process.pid}`);
  await rm(temporary, { recursive: true, force: true });
  const checksums: Record<string, string> = {};
  for (const [path, bytes] of files) {
    checksums[path] = digest(bytes);
    await writeThrough(join(temporary, path), bytes);
  }
  await writeThrough(
    join(temporary, 'state.json'),
    new TextEncoder().encode(JSON.stringify({ ...state, checksums }, null, 2)),
  );
  const target = join(root, folderOf(state.step));
  await rm(target, { recursive: true, force: true });
  await rename(temporary, target);
  await syncFolder(root);
  await prune(root, keep);
  return target;
}

async function prune(root: string, keep: number): Promise<void> {
  const old = (await checkpointNames(root)).slice(keep);
  for (const name of old) await rm(join(root, name), { recursive: true, force: true });
}

/** Checkpoint folders, newest first. */
async function checkpointNames(root: string): Promise<string[]> {
  const names = await readdir(root).catch(() => [] as string[]);
  return names.filter(isCheckpoint).toSorted().toReversed();
}

/** The newest checkpoint that is whole; broken ones are reported and passed over. */
export async function latestCheckpoint(
  root: string,
  onBroken: (folder: string, reason: string) => void,
): Promise<Checkpoint | undefined> {
  for (const name of await checkpointNames(root)) {
    const folder = join(root, name);
    try {
      return await openCheckpoint(folder);
    } catch (error) {
      onBroken(folder, error instanceof Error ? error.message : String(error));
    }
  }
  return undefined;
}

async function openCheckpoint(folder: string): Promise<Checkpoint> {
  const { checksums, ...state } = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')) as TrainingState & {
    checksums: Record<string, string>;
  };
  for (const [path, wanted] of Object.entries(checksums)) {
    if (digest(await readFile(join(folder, path))) !== wanted)
      throw new Error(`${path} does not have the checksum that state.json gives`);
  }
  return { folder, state, readFile: (path) => readFile(join(folder, path)) };
}

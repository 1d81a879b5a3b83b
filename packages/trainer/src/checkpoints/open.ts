import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openSafetensors, type StoredTensor } from '@star-webgpu/tensor-webgpu';
import { fileSource } from '@star-webgpu/tensor-webgpu/node';
import { digestOfFile, digestOfText, namesIn } from './files.ts';
import type { TrainingState } from './state.ts';
import { isCheckpoint, stateText, type StoredState } from './write.ts';

/** A checkpoint that was found whole. */
export interface Checkpoint {
  readonly folder: string;
  readonly state: TrainingState;
  /** Tensors of one of its safetensors files; only the header is read. */
  readonly open: (path: string) => Promise<ReadonlyMap<string, StoredTensor>>;
}

/** Names of checkpoint folders, newest first. */
export const checkpointNames = async (root: string): Promise<string[]> =>
  (await namesIn(root)).filter(isCheckpoint).toSorted().toReversed();

/** The state of a checkpoint. @throws Error if its file is missing or damaged */
export async function readState(folder: string): Promise<StoredState> {
  const { checksum, ...stored } = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')) as StoredState;
  if (checksum !== undefined && checksum !== digestOfText(stateText(stored)))
    throw new Error('state.json does not have its own checksum');
  return stored;
}

/** Opens a checkpoint once all its files have their checksums. @throws Error naming what is damaged */
async function openCheckpoint(folder: string): Promise<Checkpoint> {
  const { checksums, ...state } = await readState(folder);
  for (const [path, wanted] of Object.entries(checksums)) {
    if ((await digestOfFile(join(folder, path))) !== wanted)
      throw new Error(`${path} does not have the checksum that state.json gives`);
  }
  return { folder, state, open: async (path) => openSafetensors(await fileSource(join(folder, path))) };
}

/**
 * The newest checkpoint that is whole and that a run may go on from; broken ones are reported and passed over.
 * @throws Error if there are checkpoints and all of them are broken: a run that began anew would overwrite them.
 */
export async function latestCheckpoint(
  root: string,
  onBroken: (folder: string, reason: string) => void,
  accept: (state: TrainingState) => boolean = () => true,
): Promise<Checkpoint | undefined> {
  const names = await checkpointNames(root);
  let broken = 0;
  for (const name of names) {
    const folder = join(root, name);
    try {
      if (!accept(await readState(folder))) continue;
      return await openCheckpoint(folder);
    } catch (error) {
      onBroken(folder, error instanceof Error ? error.message : String(error));
      broken++;
    }
  }
  if (broken && broken === names.length)
    throw new Error(
      `train: ${root} must hold a whole checkpoint, got ${broken} broken ones. Restore one of them, or use another folder.`,
    );
  return undefined;
}

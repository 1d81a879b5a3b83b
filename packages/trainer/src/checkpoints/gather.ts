import { setImmediate } from 'node:timers/promises';
import {
  type HostTensor,
  type ModelFolder,
  safetensorsPieces,
  snapshot,
  type StoredTensor,
  storedTensor,
  type WeightsFile,
} from '@star-webgpu/tensor-webgpu';
import type { CheckpointFiles } from './write.ts';

/** Bytes taken from the device before the thread that feeds it has its turn. */
const bytesInTurn = 32 * 2 ** 20;

/** The files of a folder as they are on the device at the call; the device may go on at once. */
export function gatherFiles(folder: ModelFolder): Promise<CheckpointFiles> {
  const weights = [...folder.values()].filter((file): file is WeightsFile => !(file instanceof Uint8Array));
  return collect(folder, snapshot(weights.flatMap(({ tensors }) => [...tensors.values()])));
}

async function collect(folder: ModelFolder, copies: AsyncGenerator<HostTensor, void>): Promise<CheckpointFiles> {
  const files = new Map<string, readonly Uint8Array[]>();
  let taken = 0;
  for (const [path, file] of folder) {
    if (file instanceof Uint8Array) {
      files.set(path, [file]);
      continue;
    }
    const stored = new Map<string, StoredTensor>();
    for (const name of file.tensors.keys()) {
      const { value } = (await copies.next()) as { readonly value: HostTensor };
      stored.set(name, storedTensor(value));
      taken += value.bytes.byteLength;
      if (taken < bytesInTurn) continue;
      await setImmediate();
      taken = 0;
    }
    const pieces: Uint8Array[] = [];
    for await (const piece of safetensorsPieces(stored, file.metadata)) pieces.push(piece);
    files.set(path, pieces);
  }
  return files;
}

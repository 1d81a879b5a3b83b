import { isFloat } from '../dtype.ts';
import { type HostTensor, hostTensor } from '../io/host-tensor.ts';
import { writeSafetensors } from '../io/safetensors.ts';
import { contiguous } from '../ops/view.ts';
import type { Tensor } from '../tensor.ts';

/** A safetensors file as the tensors on the device that it is written of. */
export interface WeightsFile {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The files of a folder by path: weights, and bytes such as a config. */
export type ModelFolder = ReadonlyMap<string, Uint8Array | WeightsFile>;

/** Copies of tensors on the host, by name. */
export async function hostTensors(
  tensors: ReadonlyMap<string, Tensor>,
  dtype: 'F32' | 'F16' = 'F32',
): Promise<Map<string, HostTensor>> {
  const copies = new Map<string, HostTensor>();
  for (const [name, value] of tensors) {
    const packed = contiguous(value);
    const values = await packed.data();
    if (packed !== value) packed.dispose();
    copies.set(name, hostTensor(values, value.shape, isFloat(value.dtype) ? dtype : 'F32'));
  }
  return copies;
}

/** A folder's files as bytes, floats in the given type. */
export async function folderBytes(folder: ModelFolder, dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [path, file] of folder) {
    if (file instanceof Uint8Array) files.set(path, file);
    else files.set(path, writeSafetensors(await hostTensors(file.tensors, dtype), file.metadata));
  }
  return files;
}

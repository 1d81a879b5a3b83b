import { concat, reshape, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import type { HostValues } from './stage.ts';

/** A name for each number of some tensors: those of a tensor with an axis are counted from 1. */
export const namesOf = (numbers: Readonly<Record<string, Tensor>>): string[] =>
  Object.entries(numbers).flatMap(([name, { rank, size }]) =>
    rank === 0 ? [name] : Array.from({ length: size }, (_, i) => `${name}/${i + 1}`),
  );

/** All numbers of some tensors in a row. [n] */
export const flattened = (tensors: readonly Tensor[]): Tensor =>
  concat(
    tensors.map((each) => reshape(each, [each.size])),
    0,
  );

/** Values on the device, in the type of their array. */
export const uploaded = ({ values, shape }: HostValues): Tensor =>
  tensor(values, shape, { dtype: values instanceof Uint32Array ? 'u32' : 'f32' });

import { type Shape, sizeOf } from '../shape.ts';
import { type HostTensor, storedBytes, type StoredDType } from './host-tensor.ts';

/** A tensor in a file, of which nothing is in memory but what it is. */
export interface StoredTensor {
  readonly dtype: StoredDType;
  readonly shape: Shape;
  /** Its elements row-major and little-endian, in pieces of whole elements. */
  pieces(): AsyncIterable<Uint8Array>;
}

/** Bytes of a stored tensor. */
export const storedSize = ({ dtype, shape }: StoredTensor): number => sizeOf(shape) * storedBytes[dtype];

/** Brings a stored tensor into memory. */
export async function readStored(stored: StoredTensor): Promise<HostTensor> {
  const bytes = new Uint8Array(storedSize(stored));
  let at = 0;
  for await (const piece of stored.pieces()) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return { dtype: stored.dtype, shape: stored.shape, bytes };
}

/** A tensor in memory as a stored one. */
export const storedTensor = ({ dtype, shape, bytes }: HostTensor): StoredTensor => ({
  dtype,
  shape,
  pieces: async function* pieces() {
    yield bytes;
  },
});

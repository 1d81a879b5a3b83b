import type { PooledBuffer } from './buffer-pool.ts';
import type { CommandStream } from './command-stream.ts';
import { mapModeRead, usage } from './flags.ts';

/** Bytes of a buffer; the offset is a multiple of 4. */
export interface MemoryRange {
  readonly source: PooledBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Encodes a copy of a range into memory that the host can map. */
export function copyForHost(gpu: GPUDevice, stream: CommandStream, { source, offset, bytes }: MemoryRange): GPUBuffer {
  const size = Math.max(4, Math.ceil(bytes / 4) * 4);
  const target = gpu.createBuffer({ label: 'readback', size, usage: usage.mapRead | usage.copyTarget });
  stream.copyOut({ source, sourceOffset: offset, target, targetOffset: 0, bytes: size });
  return target;
}

/** The bytes of such copies in their order, behind one wait for all; each copy is let go as soon as its bytes are in an array. */
export async function* takeCopies(
  copies: readonly GPUBuffer[],
  settled: (pending: Promise<unknown>) => Promise<void>,
): AsyncGenerator<ArrayBuffer, void> {
  try {
    await settled(Promise.all(copies.map((copy) => copy.mapAsync(mapModeRead))));
    for (const copy of copies) {
      const bytes = copy.getMappedRange().slice(0);
      copy.destroy();
      yield bytes;
    }
  } finally {
    for (const copy of copies) copy.destroy();
  }
}

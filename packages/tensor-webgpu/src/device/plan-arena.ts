import { TensorError } from '../errors.ts';
import type { PooledBuffer } from './buffer-pool.ts';
import { currentDevice } from './current.ts';
import type { Device } from './device.ts';

/**
 * Memory for what several plans need only while they run. The plans take turns in it, so that together they take as much as the largest of them;
 * results and constants keep memory of their own. Plans of one arena may run in any order, as a device's queue runs one after the other.
 */
export class PlanArena {
  private readonly device: Device;
  /** Bytes of each piece, largest first: each plan's pieces fit into the first ones. */
  private readonly sizes: number[] = [];
  private readonly pieces: PooledBuffer[] = [];
  private moved = 0;
  private disposed = false;

  constructor(device: Device = currentDevice()) {
    this.device = device;
  }

  /** What all plans so far share. */
  get bytes(): number {
    return this.sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Makes room for a plan's pieces, largest first; memory follows when a plan runs. */
  reserve(sizes: readonly number[]): void {
    sizes.forEach((bytes, i) => (this.sizes[i] = Math.max(bytes, this.sizes[i] ?? 0)));
  }

  /** Gives every piece its memory. Returns a number that grows when pieces have moved: who bound them has to bind them again. @throws TensorError after dispose. */
  allocate(): number {
    if (this.disposed)
      throw new TensorError(
        'plan',
        'run must come before the arena is freed. Record the function again, with another arena.',
      );
    const small = this.sizes.findIndex((bytes, i) => (this.pieces[i]?.bytes ?? 0) < bytes);
    if (small < 0) return this.moved;
    this.sizes.forEach((bytes, i) => {
      const before = this.pieces[i];
      if (before && before.bytes >= bytes) return;
      if (before) this.device.discard(before);
      this.pieces[i] = this.device.acquireExact(bytes);
    });
    return ++this.moved;
  }

  /** The memory of a piece, by its rank. */
  piece(rank: number): GPUBuffer {
    return this.pieces[rank]!.buffer;
  }

  /** Frees the memory; plans of the arena must not run afterwards. */
  dispose(): void {
    for (const piece of this.pieces) this.device.discard(piece);
    this.pieces.length = 0;
    this.disposed = true;
  }
}

import { TensorError } from '../errors.ts';
import { usage } from './flags.ts';

/** A GPU buffer with an identity that keys bind groups. */
export interface PooledBuffer {
  readonly id: number;
  /** Set late where a plan promises the buffer before it has memory. */
  buffer: GPUBuffer;
  readonly bytes: number;
  /** Serial of the last submission that used it; equals the open one while commands wait. */
  lastUse: number;
  /** Grows when the buffer is freed, so that a plan can tell that it reads another's memory. */
  generation: number;
  /** Set on a part: the buffer that it lies in, and from which byte on. */
  readonly part?: { readonly of: PooledBuffer; readonly offset: number };
}

/** The buffer that owns the memory: of a part the one that it lies in. */
export const wholeOf = (buffer: PooledBuffer): PooledBuffer => buffer.part?.of ?? buffer;

/** Bytes that the start and the length of a binding are multiples of. */
export const bindingAlignment = 256;

/** Bytes that a binding of a buffer spans: whole vectors may be read and written at its end. */
export const boundBytes = ({ bytes }: PooledBuffer): number => Math.ceil(bytes / bindingAlignment) * bindingAlignment;

/** A part of a buffer from an aligned offset on, which kernels bind in its place; it lives and dies with the whole. */
export function partOf(buffer: PooledBuffer, offset: number, bytes: number): PooledBuffer {
  const whole = wholeOf(buffer);
  return {
    id: whole.id,
    bytes,
    part: { of: whole, offset: (buffer.part?.offset ?? 0) + offset },
    get buffer(): GPUBuffer {
      return whole.buffer;
    },
    get lastUse(): number {
      return whole.lastUse;
    },
    set lastUse(serial: number) {
      whole.lastUse = serial;
    },
    get generation(): number {
      return whole.generation;
    },
    set generation(count: number) {
      whole.generation = count;
    },
  };
}

/** The GPU buffer itself. @throws TensorError for the result of a plan that has not run yet. */
export function memoryOf({ buffer }: PooledBuffer): GPUBuffer {
  if (!buffer) throw new TensorError('plan', 'a result must be read after a run, got none. Call run first.');
  return buffer;
}

/** Counts of a pool, for tests that watch for leaks. */
export interface PoolStats {
  readonly liveBuffers: number;
  readonly liveBytes: number;
  readonly pooledBytes: number;
  readonly peakBytes: number;
}

/** Bytes of one buffer, and of the part of it that a kernel binds. */
export interface MemoryLimits {
  readonly buffer?: number;
  readonly binding?: number;
}

const smallest: number = bindingAlignment;

const wholeUnits = (bytes: number): number => Math.floor(bytes / smallest) * smallest;

/** Rounds a size up to four classes per power of two, so that reuse is likely and waste at most a quarter. */
function sizeClass(bytes: number): number {
  if (bytes <= smallest) return smallest;
  const step = 2 ** Math.max(8, Math.floor(Math.log2(bytes)) - 2);
  return Math.ceil(bytes / step) * step;
}

/** Reuses storage buffers by size class; a freed buffer may be handed out at once, because the queue runs in order. */
export class BufferPool {
  private readonly device: GPUDevice;
  private readonly limit: number;
  private readonly bindable: number;
  private readonly free = new Map<number, PooledBuffer[]>();
  private lastId = 0;
  private liveBuffers = 0;
  private liveBytes = 0;
  private pooledBytes = 0;
  private peakBytes = 0;

  constructor(device: GPUDevice, { buffer = Infinity, binding = Infinity }: MemoryLimits = {}) {
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    this.device = device;
    this.limit = wholeUnits(Math.min(buffer, maxBufferSize));
    this.bindable = Math.min(this.limit, wholeUnits(Math.min(binding, maxStorageBufferBindingSize)));
  }

  /** The largest tensor, in bytes, that one buffer can hold. */
  get largest(): number {
    return this.limit;
  }

  /** The largest part of a buffer, in bytes, that a kernel can bind. */
  get largestBinding(): number {
    return this.bindable;
  }

  acquire(bytes: number): PooledBuffer {
    const size = bytes > this.bindable ? wholeUnits(bytes + smallest - 1) : Math.min(sizeClass(bytes), this.bindable);
    const reused = this.free.get(size)?.pop();
    this.liveBuffers++;
    this.liveBytes += size;
    if (reused) {
      this.pooledBytes -= size;
      return reused;
    }
    return this.create(size);
  }

  /** A buffer of its own size, which never goes back to the free ones; `discard` ends it. */
  acquireExact(bytes: number): PooledBuffer {
    const size = Math.max(smallest, Math.ceil(bytes / smallest) * smallest);
    this.liveBuffers++;
    this.liveBytes += size;
    return this.create(size);
  }

  /** Destroys a live buffer. */
  discard(buffer: PooledBuffer): void {
    buffer.generation++;
    this.liveBuffers--;
    this.liveBytes -= buffer.bytes;
    buffer.buffer.destroy();
  }

  /** An identity for a buffer, this pool's or a plan's. */
  nextId(): number {
    return ++this.lastId;
  }

  release(buffer: PooledBuffer): void {
    buffer.generation++;
    this.liveBuffers--;
    this.liveBytes -= buffer.bytes;
    this.pooledBytes += buffer.bytes;
    const list = this.free.get(buffer.bytes);
    if (list) list.push(buffer);
    else this.free.set(buffer.bytes, [buffer]);
  }

  private create(size: number): PooledBuffer {
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes + this.pooledBytes);
    const buffer = this.device.createBuffer({ size, usage: usage.storage | usage.copySource | usage.copyTarget });
    return { id: this.nextId(), buffer, bytes: size, lastUse: -1, generation: 0 };
  }

  /** Destroys every buffer that nothing uses. */
  trim(): void {
    for (const list of this.free.values()) for (const { buffer } of list) buffer.destroy();
    this.free.clear();
    this.pooledBytes = 0;
  }

  stats(): PoolStats {
    const { liveBuffers, liveBytes, pooledBytes, peakBytes } = this;
    return { liveBuffers, liveBytes, pooledBytes, peakBytes };
  }
}

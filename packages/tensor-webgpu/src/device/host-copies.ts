import { check } from '../errors.ts';
import { bytesPerElement } from '../dtype.ts';
import type { Tensor } from '../tensor.ts';
import type { PooledBuffer } from './buffer-pool.ts';
import type { CommandStream } from './command-stream.ts';
import { currentDevice } from './current.ts';
import type { Device } from './device.ts';
import { mapModeRead, usage } from './flags.ts';

/** Copies into memory that the host maps. */
export interface CopiesForHost {
  readonly staging: GPUBuffer;
  /** Offsets and sizes are multiples of 4. */
  readonly copies: readonly { readonly source: PooledBuffer; readonly offset: number; readonly bytes: number }[];
  /** Called when the copies are on their way. */
  readonly submitted: () => void;
}

/** Encodes the copies and submits them with all before, so that they arrive while what follows still runs. */
export function encodeCopies(stream: CommandStream, { staging, copies, submitted }: CopiesForHost): void {
  for (const { source, offset, bytes } of copies)
    stream.copyOut({ source, sourceOffset: 0, target: staging, targetOffset: offset, bytes });
  stream.submit();
  submitted();
}

const wholeWords = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** Values of several tensors on their way to the host: copied at one point of the commands, and read while those behind it still run. */
export class HostCopies {
  /** First byte of each tensor, from a whole word on. */
  readonly offsets: readonly number[];
  /** Of all tensors together, a whole number of words. */
  readonly bytes: number;
  private readonly device: Device;
  private readonly sizes: readonly number[];
  private readonly staging: GPUBuffer;
  private arrived: Promise<void> | undefined;

  /** @param sizes bytes of each tensor. */
  constructor(sizes: readonly number[], device: Device = currentDevice()) {
    let end = 0;
    this.offsets = sizes.map((size) => {
      const start = end;
      end += wholeWords(size);
      return start;
    });
    this.bytes = end;
    this.device = device;
    this.sizes = sizes;
    const size = Math.max(4, end);
    this.staging = device.gpu.createBuffer({
      label: 'copies for the host',
      size,
      usage: usage.mapRead | usage.copyTarget,
    });
  }

  /** Copies packed tensors of these sizes from here on; in a planned function each run does. Read before the next copy. */
  take(tensors: readonly Tensor[]): void {
    const bytesOf = ({ size, dtype }: Tensor): number => size * bytesPerElement[dtype];
    check(
      'HostCopies',
      tensors.length === this.sizes.length && tensors.every((x, i) => x.isPacked && bytesOf(x) === this.sizes[i]),
      () => `tensors must be packed, of [${this.sizes}] bytes, got [${tensors.map(bytesOf)}].`,
    );
    const copies = tensors.map((tensor, i) => ({
      source: tensor.buffer,
      offset: this.offsets[i]!,
      bytes: wholeWords(this.sizes[i]!),
    }));
    const submitted = (): void => void (this.arrived = this.staging.mapAsync(mapModeRead));
    this.device.sendToHost({ staging: this.staging, copies, submitted });
  }

  /** Hands over all bytes once the device has come so far; they are gone behind the call. */
  async read<T>(use: (bytes: Uint8Array) => T): Promise<T> {
    const { arrived } = this;
    check(
      'HostCopies',
      arrived !== undefined,
      () => 'read must come behind a copy, got none. Run what takes it first.',
    );
    await this.device.settled(arrived!);
    this.arrived = undefined;
    try {
      return use(new Uint8Array(this.staging.getMappedRange(), 0, this.bytes));
    } finally {
      this.staging.unmap();
    }
  }

  /** Frees the staging memory. */
  dispose(): void {
    this.staging.destroy();
  }
}

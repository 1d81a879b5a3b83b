import { TensorError } from '../errors.ts';
import { type PooledBuffer, wholeOf } from './buffer-pool.ts';
import type { BufferCopy } from './command-stream.ts';
import type { Pipeline } from './pipelines.ts';
import type { CopiesForHost } from './host-copies.ts';

/** One step of a recording. */
export type RecordedCommand =
  | {
      readonly kind: 'dispatch';
      readonly pipeline: Pipeline;
      readonly buffers: readonly PooledBuffer[];
      readonly uniforms: Readonly<Record<string, number>>;
      readonly grid: readonly [number, number, number];
    }
  | ({ readonly kind: 'copy' } & BufferCopy)
  | ({ readonly kind: 'to host' } & CopiesForHost);

/** The buffers whose memory a command reads or writes. */
export function touched(command: RecordedCommand): readonly PooledBuffer[] {
  if (command.kind === 'copy') return [wholeOf(command.source), wholeOf(command.target)];
  return (command.kind === 'dispatch' ? command.buffers : command.copies.map(({ source }) => source)).map(wholeOf);
}

/** Host values that a recorded function uploaded. */
interface Upload {
  readonly target: PooledBuffer;
  readonly data: Uint8Array;
  /** Commands recorded before it. */
  readonly at: number;
}

/** What a function did to a device, with buffers that have no memory yet. */
export interface Recording {
  readonly commands: readonly RecordedCommand[];
  /** Constants, uploaded once. */
  readonly constants: readonly { readonly target: PooledBuffer; readonly data: Uint8Array }[];
  /** Buffers made inside that the function left alive: its results and what it kept. */
  readonly results: ReadonlySet<PooledBuffer>;
  /** Buffers from outside, each as it was when it was recorded. */
  readonly outside: ReadonlyMap<PooledBuffer, number>;
}

/** Takes a device's place while a function is recorded: nothing runs, and buffers are only promised. */
export class Recorder {
  private readonly commands: RecordedCommand[] = [];
  private readonly uploads: Upload[] = [];
  private readonly live = new Set<PooledBuffer>();
  private readonly made = new Set<PooledBuffer>();
  private readonly outside = new Map<PooledBuffer, number>();
  private readonly nextId: () => number;

  constructor(nextId: () => number) {
    this.nextId = nextId;
  }

  acquire(bytes: number): PooledBuffer {
    const buffer = this.promise(bytes);
    this.live.add(buffer);
    return buffer;
  }

  /** Every buffer that was made while recording. */
  get promised(): ReadonlySet<PooledBuffer> {
    return this.made;
  }

  /** True if the buffer was made here; others are the pool's to free. */
  release(buffer: PooledBuffer): boolean {
    this.live.delete(buffer);
    return this.made.has(buffer);
  }

  write(target: PooledBuffer, data: ArrayBufferView): void {
    if (!this.made.has(target))
      throw new TensorError(
        'plan',
        'a planned function must not write host values into a tensor from outside, as a replay would not repeat it. Assign to the tensor before the plan runs.',
      );
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    this.uploads.push({ target, data: bytes, at: this.commands.length });
  }

  add(command: RecordedCommand): void {
    for (const buffer of touched(command)) if (!this.made.has(buffer)) this.outside.set(buffer, buffer.generation);
    this.commands.push(command);
  }

  /** Ends the recording. Uploads become constants; one that is overwritten later is copied in anew by each run. */
  finish(): Recording {
    const commands: RecordedCommand[] = [];
    const constants: { target: PooledBuffer; data: Uint8Array }[] = [];
    let done = 0;
    for (const { target, data, at } of this.uploads) {
      commands.push(...this.commands.slice(done, at));
      done = at;
      if (!this.isOverwritten(target)) {
        constants.push({ target, data });
        continue;
      }
      const source = this.promise(data.byteLength);
      constants.push({ target: source, data });
      const bytes = Math.ceil(data.byteLength / 4) * 4;
      commands.push({ kind: 'copy', source, sourceOffset: 0, target, targetOffset: 0, bytes });
    }
    commands.push(...this.commands.slice(done));
    return { commands, constants, results: this.live, outside: this.outside };
  }

  private promise(bytes: number): PooledBuffer {
    const buffer: PooledBuffer = { id: this.nextId(), buffer: undefined!, bytes, lastUse: -1, generation: 0 };
    this.made.add(buffer);
    return buffer;
  }

  private isOverwritten(target: PooledBuffer): boolean {
    const uploads = this.uploads.filter((upload) => upload.target === target).length;
    return uploads > 1 || this.commands.some((command) => writes(command, target));
  }
}

function writes(command: RecordedCommand, target: PooledBuffer): boolean {
  if (command.kind === 'to host') return false;
  if (command.kind === 'copy') return wholeOf(command.target) === target;
  return command.buffers.some((buffer, i) => wholeOf(buffer) === target && command.pipeline.written[i]!);
}

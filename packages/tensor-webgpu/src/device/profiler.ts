import { mapModeRead, usage } from './flags.ts';
import type { PooledBuffer } from './buffer-pool.ts';
import type { Pipeline } from './pipelines.ts';

/** What a dispatch asks of the adapter. */
export interface DispatchWork {
  /** Floating-point operations; 0 where the kernel does not say. */
  readonly flops: number;
  /** Bytes of all buffers that are bound: what moves if each is touched once. */
  readonly bytes: number;
  /** Workgroups of its grid: fewer than the adapter has cores leave some idle. */
  readonly workgroups: number;
}

/** A dispatch between two stamps. */
export interface ProfiledDispatch extends DispatchWork {
  readonly pipeline: Pipeline;
}

/** One timed kernel run. */
export interface KernelRun extends DispatchWork {
  /** The kernel's name. */
  readonly kernel: string;
  /** Name and spec: one pipeline. */
  readonly label: string;
  /** Nanoseconds on the adapter's clock. */
  readonly start: number;
  readonly end: number;
}

/** The work of a dispatch, from its kernel's formula and its buffers. */
export function workOf(
  { kernel, spec }: Pipeline,
  {
    uniforms,
    grid,
    buffers,
  }: {
    readonly uniforms: Readonly<Record<string, number>>;
    readonly grid: readonly [number, number, number];
    readonly buffers: readonly PooledBuffer[];
  },
): DispatchWork {
  const flops = kernel.flops?.({ spec, uniforms, grid }) ?? 0;
  const workgroups = grid.reduce((product, side) => product * side);
  return { flops, bytes: buffers.reduce((sum, { bytes }) => sum + bytes, 0), workgroups };
}

const capacity = 1024;
/** Runs that are kept; later ones are not timed, so that a profile of a long run stays small. */
const mostRuns = 200_000;
const stampBytes = 8;

/** Times every dispatch by timestamps around a pass of its own. */
export class Profiler {
  private readonly gpu: GPUDevice;
  private readonly stamps: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private taken = 0;
  private open: ProfiledDispatch[] = [];
  private readonly batches: { readonly runs: readonly ProfiledDispatch[]; readonly staging: GPUBuffer }[] = [];

  constructor(gpu: GPUDevice) {
    this.gpu = gpu;
    this.stamps = gpu.createQuerySet({ label: 'profile', type: 'timestamp', count: 2 * capacity });
    this.resolved = gpu.createBuffer({
      label: 'profile',
      size: 2 * capacity * stampBytes,
      usage: usage.queryResolve | usage.copySource,
    });
  }

  /** False once enough runs are kept. */
  get isListening(): boolean {
    return this.taken < mostRuns;
  }

  /** True when the open submission has no room for another dispatch. */
  get isFull(): boolean {
    return this.open.length === capacity;
  }

  /** Where the next dispatch writes its two stamps. */
  next(run: ProfiledDispatch): GPUComputePassTimestampWrites {
    this.taken++;
    const index = 2 * this.open.push(run) - 2;
    return { querySet: this.stamps, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  /** Ends a submission: its stamps go to a buffer of their own. */
  resolve(encoder: GPUCommandEncoder): void {
    const runs = this.open;
    if (!runs.length) return;
    const size = 2 * runs.length * stampBytes;
    const staging = this.gpu.createBuffer({ label: 'profile', size, usage: usage.mapRead | usage.copyTarget });
    encoder.resolveQuerySet(this.stamps, 0, 2 * runs.length, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, staging, 0, size);
    this.batches.push({ runs, staging });
    this.open = [];
  }

  /** Every run of the submissions so far, in order; they are forgotten. */
  async take(): Promise<KernelRun[]> {
    const taken: KernelRun[] = [];
    for (const { runs, staging } of this.batches.splice(0)) {
      await staging.mapAsync(mapModeRead);
      const stamps = new BigUint64Array(staging.getMappedRange().slice(0));
      staging.destroy();
      runs.forEach(({ pipeline: { kernel, label }, ...work }, i) => {
        const [start, end] = [Number(stamps[2 * i]!), Number(stamps[2 * i + 1]!)];
        taken.push({ kernel: kernel.name, label, ...work, start, end });
      });
    }
    return taken;
  }

  destroy(): void {
    for (const { staging } of this.batches.splice(0)) staging.destroy();
    this.stamps.destroy();
    this.resolved.destroy();
  }
}

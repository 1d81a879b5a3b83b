import { mapModeRead, usage } from './flags.ts';
import type { Pipeline } from './pipelines.ts';

/** One timed kernel run. */
export interface KernelRun {
  /** The kernel's name. */
  readonly kernel: string;
  /** Name and spec: one pipeline. */
  readonly label: string;
  /** Nanoseconds on the adapter's clock. */
  readonly start: number;
  readonly end: number;
}

const capacity = 1024;
const stampBytes = 8;

/** Times every dispatch by timestamps around a pass of its own. */
export class Profiler {
  private readonly gpu: GPUDevice;
  private readonly stamps: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private open: Pipeline[] = [];
  private readonly batches: { readonly pipelines: readonly Pipeline[]; readonly staging: GPUBuffer }[] = [];

  constructor(gpu: GPUDevice) {
    this.gpu = gpu;
    this.stamps = gpu.createQuerySet({ label: 'profile', type: 'timestamp', count: 2 * capacity });
    this.resolved = gpu.createBuffer({
      label: 'profile',
      size: 2 * capacity * stampBytes,
      usage: usage.queryResolve | usage.copySource,
    });
  }

  /** True when the open submission has no room for another dispatch. */
  get isFull(): boolean {
    return this.open.length === capacity;
  }

  /** Where the next dispatch writes its two stamps. */
  next(pipeline: Pipeline): GPUComputePassTimestampWrites {
    const index = 2 * this.open.push(pipeline) - 2;
    return { querySet: this.stamps, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  /** Ends a submission: its stamps go to a buffer of their own. */
  resolve(encoder: GPUCommandEncoder): void {
    const pipelines = this.open;
    if (!pipelines.length) return;
    const size = 2 * pipelines.length * stampBytes;
    const staging = this.gpu.createBuffer({ label: 'profile', size, usage: usage.mapRead | usage.copyTarget });
    encoder.resolveQuerySet(this.stamps, 0, 2 * pipelines.length, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, staging, 0, size);
    this.batches.push({ pipelines, staging });
    this.open = [];
  }

  /** Every run of the submissions so far, in order; they are forgotten. */
  async take(): Promise<KernelRun[]> {
    const runs: KernelRun[] = [];
    for (const { pipelines, staging } of this.batches.splice(0)) {
      await staging.mapAsync(mapModeRead);
      const stamps = new BigUint64Array(staging.getMappedRange().slice(0));
      staging.destroy();
      pipelines.forEach(({ kernel, label }, i) =>
        runs.push({ kernel: kernel.name, label, start: Number(stamps[2 * i]!), end: Number(stamps[2 * i + 1]!) }),
      );
    }
    return runs;
  }

  destroy(): void {
    for (const { staging } of this.batches.splice(0)) staging.destroy();
    this.stamps.destroy();
    this.resolved.destroy();
  }
}

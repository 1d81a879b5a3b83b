import { memoryOf, type PooledBuffer } from './buffer-pool.ts';
import type { Pipeline } from './pipelines.ts';
import type { DispatchWork, ProfiledDispatch, Profiler } from './profiler.ts';

/** A kernel run that is ready to be encoded. */
export interface EncodedDispatch {
  readonly pipeline: Pipeline;
  readonly group: GPUBindGroup;
  /** Dynamic offset of the uniforms; empty for kernels without. */
  readonly offsets: readonly number[];
  readonly grid: readonly [number, number, number];
  /** For a profile: what the run takes. */
  readonly work: () => DispatchWork;
}

/** Bytes from one buffer to another; sizes and offsets are multiples of 4. */
export interface BufferCopy {
  readonly source: PooledBuffer;
  readonly sourceOffset: number;
  readonly target: PooledBuffer;
  readonly targetOffset: number;
  readonly bytes: number;
}

/** Commands on their way to the queue: one compute pass for many dispatches, or one a dispatch while a profiler listens. */
export class CommandStream {
  profiler: Profiler | undefined;
  private readonly gpu: GPUDevice;
  private encoder: GPUCommandEncoder | undefined;
  private pass: GPUComputePassEncoder | undefined;
  private bound: Pipeline | undefined;
  /** Dispatches since the last submit. */
  queued = 0;
  dispatches = 0;
  submits = 0;

  constructor(gpu: GPUDevice) {
    this.gpu = gpu;
  }

  /** True while commands wait to be submitted. */
  get isOpen(): boolean {
    return this.encoder !== undefined;
  }

  dispatch({ pipeline, group, offsets, grid, work }: EncodedDispatch): void {
    const { profiler } = this;
    const pass = profiler?.isListening ? this.profiledPass(profiler, { pipeline, ...work() }) : this.openPass();
    if (this.bound !== pipeline) {
      pass.setPipeline(pipeline.pipeline);
      this.bound = pipeline;
    }
    pass.setBindGroup(0, group, offsets);
    // Each argument is converted on its way into Dawn.
    if (grid[1] === 1 && grid[2] === 1) pass.dispatchWorkgroups(grid[0]);
    else pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
    this.dispatches++;
    this.queued++;
  }

  copy({ source, sourceOffset, target, targetOffset, bytes }: BufferCopy): void {
    const to = (target.part?.offset ?? 0) + targetOffset;
    this.copyOut({ source, sourceOffset, target: memoryOf(target), targetOffset: to, bytes });
  }

  /** Copies into a buffer that no pool knows, such as one for reading back. */
  copyOut(copy: Omit<BufferCopy, 'target'> & { readonly target: GPUBuffer }): void {
    const { source, sourceOffset, target, targetOffset, bytes } = copy;
    const from = (source.part?.offset ?? 0) + sourceOffset;
    this.openEncoder().copyBufferToBuffer(memoryOf(source), from, target, targetOffset, bytes);
  }

  /** Submits what was encoded. */
  submit(): void {
    if (!this.encoder) return;
    this.endPass();
    this.profiler?.resolve(this.encoder);
    this.gpu.queue.submit([this.encoder.finish()]);
    this.encoder = undefined;
    this.queued = 0;
    this.submits++;
  }

  /** Forgets what was encoded. */
  drop(): void {
    this.encoder = undefined;
    this.pass = undefined;
  }

  private openEncoder(): GPUCommandEncoder {
    this.endPass();
    this.encoder ??= this.gpu.createCommandEncoder();
    return this.encoder;
  }

  private openPass(): GPUComputePassEncoder {
    if (this.pass) return this.pass;
    this.pass = this.openEncoder().beginComputePass();
    return this.pass;
  }

  private profiledPass(profiler: Profiler, run: ProfiledDispatch): GPUComputePassEncoder {
    if (profiler.isFull) this.submit();
    this.pass = this.openEncoder().beginComputePass({ timestampWrites: profiler.next(run) });
    return this.pass;
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = undefined;
    this.bound = undefined;
  }
}

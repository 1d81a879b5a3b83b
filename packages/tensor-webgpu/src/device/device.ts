import { DeviceLostError, GpuError, TensorError } from '../errors.ts';
import type { Kernel, Spec } from '../kernels/define-kernel.ts';
import { BufferPool, type MemoryLimits, type PooledBuffer, type PoolStats } from './buffer-pool.ts';
import { CommandStream } from './command-stream.ts';
import { usage } from './flags.ts';
import { buffersInOrder, createBindGroup, type Pipeline, Pipelines, uniformBytes, writeUniforms } from './pipelines.ts';
import { type Profile, profileOf } from './profile.ts';
import { type DispatchWork, type KernelRun, Profiler, workOf } from './profiler.ts';
import { copyForHost, type MemoryRange, takeCopies } from './readback.ts';
import { encodeCopies, type CopiesForHost } from './host-copies.ts';
import { Recorder, type Recording } from './recorder.ts';

/** Waits for GPU work; Node passes one that does not spin a core, browsers simply await. */
export type Wait = <T>(pending: Promise<T>) => Promise<T>;

/** How `createDevice` uses an adapter. */
export interface DeviceOptions {
  /** How work of the GPU is waited for; by a plain `await` if not given. */
  readonly wait?: Wait;
  /** Forces the plain kernels, for checking the fast ones against. */
  readonly plainKernels?: boolean;
  /** Leaves the adapter's half floats alone: halves are packed two to a word, as on adapters that have none. */
  readonly packedHalves?: boolean;
  /** Makes do with less than the adapter grants, in bytes: how a program would fare elsewhere. */
  readonly limits?: MemoryLimits;
  /** Called when the device is dropped by `destroy`. */
  readonly onDestroy?: () => void;
}

/** One kernel run: buffers by binding name, numbers by uniform name, workgroups in x, y, z. */
export interface Dispatch<S extends Spec> {
  readonly spec: S;
  readonly buffers: Readonly<Record<string, PooledBuffer>>;
  readonly uniforms?: Readonly<Record<string, number>>;
  readonly grid: readonly [number, number?, number?];
}

/** Counters of the work done so far. */
export interface DeviceStats extends PoolStats {
  readonly dispatches: number;
  readonly submits: number;
  readonly pipelines: number;
}

const ringSlots = 1024;
const noOffsets: readonly number[] = [];
const flushEvery = 96;
const bindGroupLimit = 16_384;

const features: readonly string[] = [
  'shader-f16',
  'subgroups',
  'timestamp-query',
  // Dawn's name for matrix units, then the standard's.
  'chromium-experimental-subgroup-matrix',
  'subgroup-matrix',
];
const limitNames = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
] as const;

/** A WebGPU device with what eager tensors need: buffer pool, pipeline and bind-group caches, one pass for many dispatches. */
export class Device {
  readonly gpu: GPUDevice;
  readonly profile: Profile;
  readonly plainKernels: boolean;
  private readonly pool: BufferPool;
  private readonly wait: Wait;
  private readonly onDestroy: () => void;
  private readonly pipelines: Pipelines;
  private readonly stream: CommandStream;
  private recorder: Recorder | undefined;
  /** Buffers that belong to plans: the pool does not know them. */
  private readonly promised = new WeakSet<PooledBuffer>();
  private readonly bindGroups = new Map<string, GPUBindGroup>();
  private readonly ring: GPUBuffer;
  private readonly ringData = new ArrayBuffer(uniformBytes * ringSlots);
  private readonly ringView = new DataView(this.ringData);
  private slot = 0;
  private serial = 0;
  private failure: Error | undefined;

  constructor(gpu: GPUDevice, profile: Profile, options: DeviceOptions = {}) {
    this.gpu = gpu;
    this.profile = profile;
    this.plainKernels = options.plainKernels ?? false;
    this.wait = options.wait ?? ((pending) => pending);
    this.onDestroy = options.onDestroy ?? (() => {});
    this.pool = new BufferPool(gpu, options.limits);
    this.pipelines = new Pipelines(gpu);
    this.stream = new CommandStream(gpu);
    this.ring = gpu.createBuffer({
      label: 'uniforms',
      size: uniformBytes * ringSlots,
      usage: usage.uniform | usage.copyTarget,
    });
    this.watchErrors();
  }

  private watchErrors(): void {
    this.gpu.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      const name = error.constructor.name;
      const kind = /Memory/.test(name) ? 'out-of-memory' : /Validation/.test(name) ? 'validation' : 'internal';
      this.failure ??= new GpuError(kind, error.message);
    });
    void this.gpu.lost.then(({ reason, message }) => {
      this.failure = new DeviceLostError(reason ?? 'unknown', message);
    });
  }

  /** Throws what the GPU reported since the last call, if anything; a lost device throws every time. */
  checkErrors(): void {
    const { failure } = this;
    if (!failure) return;
    if (!(failure instanceof DeviceLostError)) this.failure = undefined;
    throw failure;
  }

  /** The largest tensor in bytes that one buffer can hold. */
  get largestTensorBytes(): number {
    return this.pool.largest;
  }

  /** The largest part of a tensor in bytes that a kernel can bind; ops go through larger ones part by part. */
  get largestBindingBytes(): number {
    return this.pool.largestBinding;
  }

  /** A buffer of at least so many bytes, from the pool. */
  acquire(bytes: number): PooledBuffer {
    return this.recorder ? this.recorder.acquire(bytes) : this.pool.acquire(bytes);
  }

  /** Gives a buffer back to the pool, whose next owner may overwrite it. */
  release(buffer: PooledBuffer): void {
    if (this.recorder?.release(buffer) || this.promised.has(buffer)) return;
    this.pool.release(buffer);
  }

  /** Memory of exactly this size that is never lent to another, for plans; `discard` frees it. */
  acquireExact(bytes: number): PooledBuffer {
    return this.pool.acquireExact(bytes);
  }

  /** Frees a buffer instead of keeping it for reuse. */
  discard(buffer: PooledBuffer): void {
    this.flush();
    this.pool.discard(buffer);
  }

  /** Uploads host values into a buffer; waits in line behind commands that still read the buffer's former content. */
  write(target: PooledBuffer, data: ArrayBufferView): void {
    if (this.recorder) return this.recorder.write(target, data);
    if (target.lastUse === this.serial) this.flush();
    const tail = data.byteLength % 4;
    const whole = data.byteLength - tail;
    if (whole) this.gpu.queue.writeBuffer(target.buffer, 0, data.buffer as ArrayBuffer, data.byteOffset, whole);
    if (tail) {
      const last = new Uint8Array(4);
      last.set(new Uint8Array(data.buffer, data.byteOffset + whole, tail));
      this.gpu.queue.writeBuffer(target.buffer, whole, last);
    }
  }

  /** Records one kernel run; it is submitted with others at the next flush. */
  dispatch<S extends Spec>(kernel: Kernel<S>, { spec, buffers, uniforms = {}, grid }: Dispatch<S>): void {
    this.checkErrors();
    const [x, y = 1, z = 1] = grid;
    if (x === 0 || y === 0 || z === 0) return;
    const pipeline = this.pipelines.get(kernel, spec);
    const bound = buffersInOrder(pipeline, buffers);
    this.checkBindings(pipeline, bound);
    if (this.recorder)
      return this.recorder.add({ kind: 'dispatch', pipeline, buffers: bound, uniforms, grid: [x, y, z] });
    if (this.slot === ringSlots) this.flush();
    const offsets = this.nextUniforms(pipeline, uniforms);
    const group = this.bindGroup(pipeline, bound);
    const work = (): DispatchWork => workOf(pipeline, { uniforms, grid: [x, y, z], buffers: bound });
    this.stream.dispatch({ pipeline, group, offsets, grid: [x, y, z], work });
    if (this.stream.queued >= flushEvery) this.flush();
  }

  /** Submits what was recorded. */
  flush(): void {
    if (!this.stream.isOpen) return;
    if (this.slot) this.gpu.queue.writeBuffer(this.ring, 0, this.ringData, 0, this.slot * uniformBytes);
    this.stream.submit();
    this.slot = 0;
    this.serial++;
  }

  /** Copies bytes from one buffer to another inside the command stream; sizes and offsets are multiples of 4. */
  copy(source: PooledBuffer, sourceOffset: number, target: PooledBuffer, targetOffset: number, bytes: number): void {
    const copy = { source, sourceOffset, target, targetOffset, bytes };
    if (this.recorder) return this.recorder.add({ kind: 'copy', ...copy });
    this.stream.copy(copy);
    source.lastUse = target.lastUse = this.serial;
  }

  /** Reads bytes back once all earlier work is done; throws what the GPU reported meanwhile. */
  async read(source: PooledBuffer, bytes: number): Promise<ArrayBuffer> {
    const { value } = await this.readEach([{ source, offset: 0, bytes }]).next();
    return value as ArrayBuffer;
  }

  /** As read, of several ranges as they are at the call, in their order; later commands may change the buffers meanwhile. */
  readEach(ranges: readonly MemoryRange[]): AsyncGenerator<ArrayBuffer, void> {
    if (this.recorder)
      throw new TensorError(
        'plan',
        'a planned function must not read from the device. Return the tensor and read it after the run.',
      );
    this.checkErrors();
    const copies = ranges.map((range) => copyForHost(this.gpu, this.stream, range));
    this.flush();
    return takeCopies(copies, (pending) => this.settled(pending));
  }

  /** Copies to the host from here on, as `HostCopies` does. */
  sendToHost(copies: CopiesForHost): void {
    if (this.recorder) return this.recorder.add({ kind: 'to host', ...copies });
    this.replay((stream) => encodeCopies(stream, copies));
  }

  /** Waits for something of the GPU; throws what it reported meanwhile rather than how the wait failed. */
  async settled(pending: Promise<unknown>): Promise<void> {
    await this.wait(pending).finally(() => this.checkErrors());
  }

  /** Runs a function while its commands are taken down instead of encoded. */
  record<T>(run: () => T): { readonly result: T; readonly recording: Recording } {
    if (this.recorder)
      throw new TensorError('plan', 'a planned function must not make a plan itself. Make it outside.');
    const recorder = new Recorder(() => this.pool.nextId());
    this.recorder = recorder;
    try {
      const result = run();
      return { result, recording: recorder.finish() };
    } finally {
      for (const buffer of recorder.promised) this.promised.add(buffer);
      this.recorder = undefined;
    }
  }

  /** Encodes commands that were made ready before, behind all others, and submits them. */
  replay(encode: (stream: CommandStream) => void): void {
    this.flush();
    encode(this.stream);
    this.flush();
  }

  /** Resolves when all work so far is done; throws what the GPU reported. */
  async idle(): Promise<void> {
    this.flush();
    await this.settled(this.gpu.queue.onSubmittedWorkDone());
  }

  /** What the device has done and holds now. */
  stats(): DeviceStats {
    const { dispatches, submits } = this.stream;
    return { ...this.pool.stats(), dispatches, submits, pipelines: this.pipelines.size };
  }

  /** Starts timing every dispatch. @throws GpuError where the adapter has no timestamps. */
  startProfile(): void {
    if (!this.profile.timestamps)
      throw new GpuError(
        'validation',
        `profile: ${this.profile.description} must have timestamps, got none. Use another adapter.`,
      );
    this.flush();
    this.stream.profiler ??= new Profiler(this.gpu);
  }

  /** Every kernel run since the start of the profile or the last call, in order. */
  async takeProfile(): Promise<KernelRun[]> {
    const { profiler } = this.stream;
    if (!profiler) return [];
    this.flush();
    return this.wait(profiler.take());
  }

  /** Stops timing. */
  stopProfile(): void {
    this.flush();
    this.stream.profiler?.destroy();
    this.stream.profiler = undefined;
  }

  /** Gives pooled memory back to the driver. */
  trim(): void {
    this.flush();
    this.bindGroups.clear();
    this.pool.trim();
  }

  /** Ends the device; in Node the process can then exit by itself. */
  destroy(): void {
    this.stream.drop();
    this.gpu.destroy();
    this.onDestroy();
  }

  private nextUniforms(pipeline: Pipeline, values: Readonly<Record<string, number>>): readonly number[] {
    if (!pipeline.uniformTypes.length) return noOffsets;
    const offset = this.slot++ * uniformBytes;
    writeUniforms(pipeline, values, { view: this.ringView, offset });
    return [offset];
  }

  private checkBindings({ kernel, bindingNames }: Pipeline, buffers: readonly PooledBuffer[]): void {
    const limit = this.largestBindingBytes;
    for (const [i, { bytes }] of buffers.entries()) {
      if (bytes <= limit) continue;
      const fault = `${bindingNames[i]} must fit one binding of ${limit} bytes, got ${bytes}`;
      throw new TensorError(kernel.name, `${fault}. Use a smaller batch, f16, or split the tensor.`);
    }
  }

  private bindGroup(pipeline: Pipeline, buffers: readonly PooledBuffer[]): GPUBindGroup {
    let key = `${pipeline.id}`;
    for (const buffer of buffers) {
      buffer.lastUse = this.serial;
      key += buffer.part ? `,${buffer.id}@${buffer.part.offset}:${buffer.bytes}` : `,${buffer.id}`;
    }
    const cached = this.bindGroups.get(key);
    if (cached) return cached;
    if (this.bindGroups.size >= bindGroupLimit) this.bindGroups.clear();
    const group = createBindGroup(this.gpu, pipeline, { buffers, uniforms: this.ring });
    this.bindGroups.set(key, group);
    return group;
  }
}

/** Opens a device on an adapter with the adapter's own limits and every feature that the kernels can use. */
export async function createDevice(adapter: GPUAdapter, options: DeviceOptions = {}): Promise<Device> {
  const requiredLimits = Object.fromEntries(limitNames.map((name) => [name, adapter.limits[name]]));
  const left = options.packedHalves ? ['shader-f16'] : [];
  const requiredFeatures = features.filter(
    (feature): feature is GPUFeatureName => adapter.features.has(feature) && !left.includes(feature),
  );
  const gpu = await adapter.requestDevice({ label: 'star-webgpu', requiredLimits, requiredFeatures });
  const profile = profileOf(adapter);
  return new Device(gpu, { ...profile, f16: profile.f16 && !options.packedHalves }, options);
}

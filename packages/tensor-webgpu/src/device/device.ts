import { DeviceLostError, GpuError } from '../errors.ts';
import { type Kernel, type Spec, shaderSource } from '../kernels/define-kernel.ts';
import { BufferPool, type PooledBuffer, type PoolStats } from './buffer-pool.ts';
import { computeStage, mapModeRead, usage } from './flags.ts';
import { type Profile, profileOf } from './profile.ts';

/** Waits for GPU work; Node passes one that does not spin a core, browsers simply await. */
export type Wait = <T>(pending: Promise<T>) => Promise<T>;

export interface DeviceOptions {
  readonly wait?: Wait;
  /** Forces the plain kernels, for checking the fast ones against. */
  readonly plainKernels?: boolean;
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

interface Pipeline {
  readonly id: number;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly bindingNames: readonly string[];
  readonly uniformTypes: readonly (readonly [string, string])[];
}

/** Counters of the work done so far. */
export interface DeviceStats extends PoolStats {
  readonly dispatches: number;
  readonly submits: number;
  readonly pipelines: number;
}

const uniformBytes = 256;
const ringSlots = 1024;
const flushEvery = 96;
const bindGroupLimit = 16_384;

const features: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];
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
  private readonly pipelines = new Map<string, Pipeline>();
  private readonly bindGroups = new Map<string, GPUBindGroup>();
  private readonly ring: GPUBuffer;
  private readonly ringData = new ArrayBuffer(uniformBytes * ringSlots);
  private readonly ringView = new DataView(this.ringData);
  private encoder: GPUCommandEncoder | undefined;
  private pass: GPUComputePassEncoder | undefined;
  private slot = 0;
  private queued = 0;
  private serial = 0;
  private dispatches = 0;
  private submits = 0;
  private failure: Error | undefined;

  constructor(gpu: GPUDevice, profile: Profile, options: DeviceOptions = {}) {
    this.gpu = gpu;
    this.profile = profile;
    this.plainKernels = options.plainKernels ?? false;
    this.wait = options.wait ?? ((pending) => pending);
    this.onDestroy = options.onDestroy ?? (() => {});
    this.pool = new BufferPool(gpu);
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

  /** The largest tensor in bytes that a kernel can bind. */
  get largestTensorBytes(): number {
    return this.pool.largest;
  }

  acquire(bytes: number): PooledBuffer {
    return this.pool.acquire(bytes);
  }

  release(buffer: PooledBuffer): void {
    this.pool.release(buffer);
  }

  /** Uploads host values into a buffer; waits in line behind commands that still read the buffer's former content. */
  write(target: PooledBuffer, data: ArrayBufferView): void {
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
    const pipeline = this.pipeline(kernel, spec);
    if (this.slot === ringSlots) this.flush();
    const offset = this.writeUniforms(pipeline, uniforms);
    const group = this.bindGroup(pipeline, buffers);
    const pass = this.openPass();
    pass.setPipeline(pipeline.pipeline);
    if (pipeline.uniformTypes.length) pass.setBindGroup(0, group, [offset]);
    else pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
    this.dispatches++;
    if (++this.queued >= flushEvery) this.flush();
  }

  /** Submits what was recorded. */
  flush(): void {
    if (!this.encoder) return;
    this.pass?.end();
    if (this.slot) this.gpu.queue.writeBuffer(this.ring, 0, this.ringData, 0, this.slot * uniformBytes);
    this.gpu.queue.submit([this.encoder.finish()]);
    this.encoder = undefined;
    this.pass = undefined;
    this.slot = 0;
    this.queued = 0;
    this.serial++;
    this.submits++;
  }

  /** Copies bytes from one buffer to another inside the command stream; sizes and offsets are multiples of 4. */
  copy(source: PooledBuffer, sourceOffset: number, target: PooledBuffer, targetOffset: number, bytes: number): void {
    this.openEncoder().copyBufferToBuffer(source.buffer, sourceOffset, target.buffer, targetOffset, bytes);
    source.lastUse = target.lastUse = this.serial;
  }

  /** Reads bytes back once all earlier work is done; throws what the GPU reported meanwhile. */
  async read(source: PooledBuffer, bytes: number): Promise<ArrayBuffer> {
    this.checkErrors();
    const size = Math.max(4, Math.ceil(bytes / 4) * 4);
    const staging = this.gpu.createBuffer({ label: 'readback', size, usage: usage.mapRead | usage.copyTarget });
    this.openEncoder().copyBufferToBuffer(source.buffer, 0, staging, 0, size);
    this.flush();
    try {
      await this.wait(staging.mapAsync(mapModeRead));
      this.checkErrors();
      return staging.getMappedRange().slice(0);
    } catch (error) {
      this.checkErrors();
      throw error;
    } finally {
      staging.destroy();
    }
  }

  /** Resolves when all work so far is done; throws what the GPU reported. */
  async idle(): Promise<void> {
    this.flush();
    await this.wait(this.gpu.queue.onSubmittedWorkDone());
    this.checkErrors();
  }

  stats(): DeviceStats {
    const { dispatches, submits, pipelines } = this;
    return { ...this.pool.stats(), dispatches, submits, pipelines: pipelines.size };
  }

  /** Gives pooled memory back to the driver. */
  trim(): void {
    this.flush();
    this.bindGroups.clear();
    this.pool.trim();
  }

  /** Ends the device; in Node the process can then exit by itself. */
  destroy(): void {
    this.encoder = undefined;
    this.pass = undefined;
    this.gpu.destroy();
    this.onDestroy();
  }

  private openEncoder(): GPUCommandEncoder {
    this.pass?.end();
    this.pass = undefined;
    this.encoder ??= this.gpu.createCommandEncoder();
    return this.encoder;
  }

  private openPass(): GPUComputePassEncoder {
    this.encoder ??= this.gpu.createCommandEncoder();
    this.pass ??= this.encoder.beginComputePass();
    return this.pass;
  }

  private writeUniforms(pipeline: Pipeline, values: Readonly<Record<string, number>>): number {
    if (!pipeline.uniformTypes.length) return 0;
    const offset = this.slot++ * uniformBytes;
    let at = offset;
    for (const [name, type] of pipeline.uniformTypes) {
      const value = values[name];
      if (value === undefined)
        throw new GpuError('validation', `${pipeline.pipeline.label}: uniform ${name} is missing.`);
      if (type === 'f32') this.ringView.setFloat32(at, value, true);
      else if (type === 'i32') this.ringView.setInt32(at, value, true);
      else this.ringView.setUint32(at, value, true);
      at += 4;
    }
    return offset;
  }

  private bindGroup(pipeline: Pipeline, buffers: Readonly<Record<string, PooledBuffer>>): GPUBindGroup {
    let key = `${pipeline.id}`;
    for (const name of pipeline.bindingNames) {
      const buffer = buffers[name];
      if (!buffer) throw new GpuError('validation', `${pipeline.pipeline.label}: buffer ${name} is missing.`);
      buffer.lastUse = this.serial;
      key += `,${buffer.id}`;
    }
    const cached = this.bindGroups.get(key);
    if (cached) return cached;
    if (this.bindGroups.size >= bindGroupLimit) this.bindGroups.clear();
    const group = this.createBindGroup(pipeline, buffers);
    this.bindGroups.set(key, group);
    return group;
  }

  private createBindGroup(pipeline: Pipeline, buffers: Readonly<Record<string, PooledBuffer>>): GPUBindGroup {
    const entries: GPUBindGroupEntry[] = pipeline.bindingNames.map((name, index) => ({
      binding: index + 1,
      resource: { buffer: buffers[name]!.buffer },
    }));
    if (pipeline.uniformTypes.length)
      entries.push({ binding: 0, resource: { buffer: this.ring, offset: 0, size: uniformBytes } });
    return this.gpu.createBindGroup({ label: pipeline.pipeline.label, layout: pipeline.layout, entries });
  }

  private pipeline<S extends Spec>(kernel: Kernel<S>, spec: S): Pipeline {
    let key = kernel.name;
    for (const name in spec) key += `|${name}=${spec[name]}`;
    const cached = this.pipelines.get(key);
    if (cached) return cached;
    const created = this.createPipeline(kernel, spec, key);
    this.pipelines.set(key, created);
    return created;
  }

  private createPipeline<S extends Spec>(kernel: Kernel<S>, spec: S, label: string): Pipeline {
    const bindings = Object.entries(kernel.bindings(spec));
    const uniformTypes = Object.entries(kernel.uniforms);
    const entries: GPUBindGroupLayoutEntry[] = bindings.map(([, binding], index) => ({
      binding: index + 1,
      visibility: computeStage,
      buffer: { type: binding.startsWith('read ') ? 'read-only-storage' : 'storage' },
    }));
    if (uniformTypes.length) {
      entries.push({
        binding: 0,
        visibility: computeStage,
        buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: 4 * uniformTypes.length },
      });
    }
    const layout = this.gpu.createBindGroupLayout({ label, entries });
    const module = this.gpu.createShaderModule({ label, code: shaderSource(kernel, spec) });
    const pipeline = this.gpu.createComputePipeline({
      label,
      layout: this.gpu.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    });
    return { id: this.pipelines.size, pipeline, layout, bindingNames: bindings.map(([name]) => name), uniformTypes };
  }
}

/** Opens a device on an adapter with the adapter's own limits and every feature that the kernels can use. */
export async function createDevice(adapter: GPUAdapter, options: DeviceOptions = {}): Promise<Device> {
  const requiredLimits = Object.fromEntries(limitNames.map((name) => [name, adapter.limits[name]]));
  const requiredFeatures = features.filter((feature) => adapter.features.has(feature));
  const gpu = await adapter.requestDevice({ label: 'star-webgpu', requiredLimits, requiredFeatures });
  return new Device(gpu, profileOf(adapter), options);
}

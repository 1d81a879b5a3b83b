import { GpuError } from '../errors.ts';
import { type Kernel, type Spec, shaderSource } from '../kernels/define-kernel.ts';
import { boundBytes, memoryOf, type PooledBuffer } from './buffer-pool.ts';
import { computeStage } from './flags.ts';

/** A kernel for one spec, with what its dispatches need; it is compiled when a dispatch is first encoded, not when it is recorded. */
export interface Pipeline {
  readonly id: number;
  readonly kernel: Kernel;
  readonly spec: Spec;
  /** Kernel and spec in words; names the pipeline in errors and profiles. */
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly bindingNames: readonly string[];
  /** True for each binding that the kernel writes. */
  readonly written: readonly boolean[];
  readonly uniformTypes: readonly (readonly [string, string])[];
}

/** Bytes between the uniforms of two dispatches: WebGPU's alignment of dynamic offsets. */
export const uniformBytes = 256;

/** Pipelines by kernel and spec. */
export class Pipelines {
  private readonly gpu: GPUDevice;
  private readonly made = new Map<string, Pipeline>();

  constructor(gpu: GPUDevice) {
    this.gpu = gpu;
  }

  get size(): number {
    return this.made.size;
  }

  get<S extends Spec>(kernel: Kernel<S>, spec: S): Pipeline {
    let label = kernel.name;
    for (const name in spec) label += `|${name}=${spec[name]}`;
    const cached = this.made.get(label);
    if (cached) return cached;
    const created = this.create(kernel, spec, label);
    this.made.set(label, created);
    return created;
  }

  private create<S extends Spec>(kernel: Kernel<S>, spec: S, label: string): Pipeline {
    const bindings = Object.entries(kernel.bindings(spec));
    const uniformTypes = Object.entries(kernel.uniforms);
    const written = bindings.map(([, binding]) => !binding.startsWith('read '));
    const entries: GPUBindGroupLayoutEntry[] = written.map((isWritten, index) => ({
      binding: index + 1,
      visibility: computeStage,
      buffer: { type: isWritten ? 'storage' : 'read-only-storage' },
    }));
    if (uniformTypes.length) {
      entries.push({
        binding: 0,
        visibility: computeStage,
        buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: 4 * uniformTypes.length },
      });
    }
    let made: Compiled | undefined;
    const compiled = (): Compiled =>
      (made ??= this.compile(label, { code: () => shaderSource(kernel, spec), entries }));
    return {
      id: this.made.size,
      kernel: kernel as unknown as Kernel,
      spec,
      label,
      bindingNames: bindings.map(([name]) => name),
      written,
      uniformTypes,
      get pipeline(): GPUComputePipeline {
        return compiled().pipeline;
      },
      get layout(): GPUBindGroupLayout {
        return compiled().layout;
      },
    };
  }

  private compile(
    label: string,
    { code, entries }: { readonly code: () => string; readonly entries: readonly GPUBindGroupLayoutEntry[] },
  ): Compiled {
    const layout = this.gpu.createBindGroupLayout({ label, entries });
    const pipeline = this.gpu.createComputePipeline({
      label,
      layout: this.gpu.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
      compute: { module: this.gpu.createShaderModule({ label, code: code() }), entryPoint: 'main' },
    });
    return { layout, pipeline };
  }
}

type Compiled = Pick<Pipeline, 'layout' | 'pipeline'>;

/** Writes a dispatch's uniforms at a byte offset. @throws GpuError naming a uniform that is missing. */
export function writeUniforms(
  { uniformTypes, label }: Pipeline,
  values: Readonly<Record<string, number>>,
  { view, offset }: { readonly view: DataView; readonly offset: number },
): void {
  let at = offset;
  for (const [name, type] of uniformTypes) {
    const value = values[name];
    if (value === undefined) throw new GpuError('validation', `${label}: uniform ${name} is missing.`);
    if (type === 'f32') view.setFloat32(at, value, true);
    else if (type === 'i32') view.setInt32(at, value, true);
    else view.setUint32(at, value, true);
    at += 4;
  }
}

/** A dispatch's buffers in the order of the kernel's bindings. @throws GpuError naming a buffer that is missing. */
export const buffersInOrder = (
  { bindingNames, label }: Pipeline,
  buffers: Readonly<Record<string, PooledBuffer>>,
): PooledBuffer[] =>
  bindingNames.map((name) => {
    const buffer = buffers[name];
    if (!buffer) throw new GpuError('validation', `${label}: buffer ${name} is missing.`);
    return buffer;
  });

/** The bind group of a dispatch: its uniforms' buffer at binding 0, then its storage buffers. */
export function createBindGroup(
  gpu: GPUDevice,
  { label, layout, uniformTypes }: Pipeline,
  { buffers, uniforms }: { readonly buffers: readonly PooledBuffer[]; readonly uniforms: GPUBuffer | undefined },
): GPUBindGroup {
  const entries: GPUBindGroupEntry[] = buffers.map((buffer, index) => ({
    binding: index + 1,
    resource: { buffer: memoryOf(buffer), offset: buffer.part?.offset ?? 0, size: boundBytes(buffer) },
  }));
  if (uniformTypes.length && uniforms)
    entries.push({ binding: 0, resource: { buffer: uniforms, offset: 0, size: uniformBytes } });
  return gpu.createBindGroup({ label, layout, entries });
}

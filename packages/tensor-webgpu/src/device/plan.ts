import { TensorError } from '../errors.ts';
import { scope } from '../scope.ts';
import type { PooledBuffer } from './buffer-pool.ts';
import type { BufferCopy, EncodedDispatch } from './command-stream.ts';
import { currentDevice } from './current.ts';
import type { Device } from './device.ts';
import { usage } from './flags.ts';
import { type MemorySlot, planMemory } from './memory-plan.ts';
import { createBindGroup, uniformBytes, writeUniforms } from './pipelines.ts';
import { type DispatchWork, workOf } from './profiler.ts';
import type { RecordedCommand, Recording } from './recorder.ts';

/** What a plan will need, known before anything is allocated. */
export interface PlanSize {
  readonly dispatches: number;
  /** Memory of everything that the function makes, shared over time. */
  readonly bytes: number;
  /** What the same would take if nothing were shared. */
  readonly unsharedBytes: number;
}

type Step = (EncodedDispatch & { readonly kind: 'dispatch' }) | ({ readonly kind: 'copy' } & BufferCopy);

/** Dispatches in the first submit, so that the device starts early, and in each later one. */
const firstSubmit = 64;
const laterSubmit = 512;

/**
 * A recorded function: `run` repeats all its device work with no allocation, no bind group and no autograd of its own.
 * What it reads from outside (parameters, inputs) it reads anew each time; host values inside it are constants.
 */
export class Plan<T> {
  /** What the function returned: the same tensors for every run, refilled by each. */
  readonly result: T;
  readonly size: PlanSize;
  private readonly device: Device;
  private readonly outside: ReadonlyMap<PooledBuffer, number>;
  private readonly slots: readonly MemorySlot[];
  private readonly recording: Recording;
  private memory: PooledBuffer[] = [];
  private uniforms: GPUBuffer | undefined;
  private steps: readonly Step[] | undefined;
  private disposed = false;

  constructor(device: Device, recording: Recording, result: T) {
    this.device = device;
    this.result = result;
    this.recording = recording;
    this.outside = recording.outside;
    this.slots = planMemory(recording);
    this.size = sizeOf(recording, this.slots);
  }

  /** Repeats the function's device work. @throws TensorError if a tensor that it reads was freed since. */
  run(): void {
    this.device.checkErrors();
    this.checkOutside();
    this.steps ??= this.prepare();
    this.device.replay((stream) => {
      let limit = firstSubmit;
      for (const step of this.steps!) {
        if (step.kind === 'copy') stream.copy(step);
        else stream.dispatch(step);
        if (stream.queued < limit) continue;
        stream.submit();
        limit = laterSubmit;
      }
    });
  }

  /** Gives the plan's memory back; its result must not be read afterwards. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    // Another plan may read what this one left behind: it then sees that it is gone.
    for (const tenant of this.slots.flatMap(({ tenants }) => tenants)) tenant.generation++;
    for (const buffer of this.memory) this.device.discard(buffer);
    this.uniforms?.destroy();
    this.steps = [];
  }

  private checkOutside(): void {
    if (this.disposed) throw new TensorError('plan', 'run must come before dispose. Record the function again.');
    for (const [buffer, generation] of this.outside)
      if (buffer.generation !== generation)
        throw new TensorError(
          'plan',
          `every tensor from outside must still be alive, got a freed one of ${buffer.bytes} bytes. Keep it as long as the plan, or record the function again.`,
        );
  }

  /** Gives every buffer its memory and builds what is encoded at each run. */
  private prepare(): readonly Step[] {
    for (const { bytes, tenants } of this.slots) {
      const memory = this.device.acquireExact(bytes);
      this.memory.push(memory);
      for (const tenant of tenants) tenant.buffer = memory.buffer;
    }
    for (const { target, data } of this.recording.constants) this.device.write(target, data);
    this.uniforms = this.uploadUniforms();
    return this.recording.commands.map((command, i) => this.stepOf(command, i));
  }

  private uploadUniforms(): GPUBuffer {
    const { commands } = this.recording;
    const view = new DataView(new ArrayBuffer(uniformBytes * Math.max(1, commands.length)));
    commands.forEach((command, i) => {
      if (command.kind === 'dispatch')
        writeUniforms(command.pipeline, command.uniforms, { view, offset: i * uniformBytes });
    });
    const { gpu } = this.device;
    const buffer = gpu.createBuffer({
      label: 'plan uniforms',
      size: view.byteLength,
      usage: usage.uniform | usage.copyTarget,
    });
    gpu.queue.writeBuffer(buffer, 0, view.buffer);
    return buffer;
  }

  private stepOf(command: RecordedCommand, index: number): Step {
    if (command.kind === 'copy') return command;
    const { pipeline, buffers, grid, uniforms } = command;
    const group = createBindGroup(this.device.gpu, pipeline, { buffers, uniforms: this.uniforms });
    const offsets = pipeline.uniformTypes.length ? [index * uniformBytes] : [];
    const work = (): DispatchWork => workOf(pipeline, { uniforms, grid, buffers });
    return { kind: 'dispatch', pipeline, group, offsets, grid, work };
  }
}

function sizeOf({ commands }: Recording, slots: readonly MemorySlot[]): PlanSize {
  const dispatches = commands.filter(({ kind }) => kind === 'dispatch').length;
  const tenants = slots.flatMap((slot) => slot.tenants);
  return {
    dispatches,
    bytes: slots.reduce((sum, { bytes }) => sum + bytes, 0),
    unsharedBytes: tenants.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/**
 * Records what a function does on the device without running it; `run` of the plan does it, as often as wanted.
 * The function must not read from the device, and must give the same commands each time: numbers that change come in tensors.
 */
export function plan<T>(run: () => T, device: Device = currentDevice()): Plan<T> {
  const { result, recording } = device.record(() => scope(run));
  return new Plan(device, recording, result);
}

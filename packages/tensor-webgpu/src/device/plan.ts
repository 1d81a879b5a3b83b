import { TensorError } from '../errors.ts';
import { scope } from '../scope.ts';
import type { PooledBuffer } from './buffer-pool.ts';
import type { EncodedDispatch } from './command-stream.ts';
import { currentDevice } from './current.ts';
import type { Device } from './device.ts';
import { usage } from './flags.ts';
import { type MemorySlot, planMemory } from './memory-plan.ts';
import type { PlanArena } from './plan-arena.ts';
import { encodeCopies } from './host-copies.ts';
import { createBindGroup, uniformBytes, writeUniforms } from './pipelines.ts';
import { type DispatchWork, workOf } from './profiler.ts';
import type { RecordedCommand, Recording } from './recorder.ts';

/** What a plan will need, known before anything is allocated. */
export interface PlanSize {
  readonly dispatches: number;
  /** Floating-point operations of the kernels that count theirs: products and attention. */
  readonly flops: number;
  /** Memory of everything that the function makes, shared over time. */
  readonly bytes: number;
  /** Of it, what outlasts a run: constants and results. The rest is the arena's, where the plan has one. */
  readonly lastingBytes: number;
  /** What the same would take if nothing were shared. */
  readonly unsharedBytes: number;
}

interface Recorded<T> {
  readonly recording: Recording;
  readonly result: T;
  readonly arena: PlanArena | undefined;
}

type Step = (EncodedDispatch & { readonly kind: 'dispatch' }) | Exclude<RecordedCommand, { readonly kind: 'dispatch' }>;

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
  private readonly lasting: readonly MemorySlot[];
  private readonly passing: readonly MemorySlot[];
  private readonly arena: PlanArena | undefined;
  private readonly recording: Recording;
  private memory: PooledBuffer[] = [];
  private uniforms: GPUBuffer | undefined;
  private steps: readonly Step[] | undefined;
  /** Where the arena's pieces were when they were bound. */
  private bound: number | undefined;
  private disposed = false;

  constructor(device: Device, { recording, result, arena }: Recorded<T>) {
    this.device = device;
    this.result = result;
    this.recording = recording;
    this.outside = recording.outside;
    const slots = planMemory(recording);
    this.lasting = slots.filter(({ lasting }) => lasting);
    this.passing = slots.filter(({ lasting }) => !lasting);
    this.arena = arena;
    arena?.reserve(this.passing.map(({ bytes }) => bytes));
    this.size = sizeOf(recording, slots);
  }

  /** Repeats the function's device work. @throws TensorError if a tensor that it reads was freed since. */
  run(): void {
    this.device.checkErrors();
    this.checkOutside();
    const steps = this.prepared();
    this.device.replay((stream) => {
      let limit = firstSubmit;
      for (const step of steps) {
        if (step.kind === 'dispatch') stream.dispatch(step);
        else if (step.kind === 'copy') stream.copy(step);
        else encodeCopies(stream, step);
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
    for (const { tenants } of [...this.lasting, ...this.passing]) for (const tenant of tenants) tenant.generation++;
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

  /** What is encoded at each run; built anew where the arena's pieces have moved. */
  private prepared(): readonly Step[] {
    const place = this.arena?.allocate();
    if (this.steps && place === this.bound) return this.steps;
    if (!this.uniforms) {
      this.house(this.lasting);
      for (const { target, data } of this.recording.constants) this.device.write(target, data);
      this.uniforms = this.uploadUniforms();
    }
    if (this.arena) this.passing.forEach((slot, rank) => settle(slot, this.arena!.piece(rank)));
    else this.house(this.passing);
    this.bound = place;
    return (this.steps = this.recording.commands.map((command, i) => this.stepOf(command, i)));
  }

  /** Gives slots memory of the plan's own. */
  private house(slots: readonly MemorySlot[]): void {
    for (const slot of slots) {
      const memory = this.device.acquireExact(slot.bytes);
      this.memory.push(memory);
      settle(slot, memory.buffer);
    }
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
    if (command.kind !== 'dispatch') return command;
    const { pipeline, buffers, grid, uniforms } = command;
    const group = createBindGroup(this.device.gpu, pipeline, { buffers, uniforms: this.uniforms });
    const offsets = pipeline.uniformTypes.length ? [index * uniformBytes] : [];
    const work = (): DispatchWork => workOf(pipeline, { uniforms, grid, buffers });
    return { kind: 'dispatch', pipeline, group, offsets, grid, work };
  }
}

function settle({ tenants }: MemorySlot, buffer: GPUBuffer): void {
  for (const tenant of tenants) tenant.buffer = buffer;
}

function sizeOf({ commands }: Recording, slots: readonly MemorySlot[]): PlanSize {
  const dispatches = commands.filter((command) => command.kind === 'dispatch');
  const tenants = slots.flatMap((slot) => slot.tenants);
  return {
    dispatches: dispatches.length,
    flops: dispatches.reduce((sum, run) => sum + workOf(run.pipeline, run).flops, 0),
    bytes: slots.reduce((sum, { bytes }) => sum + bytes, 0),
    lastingBytes: slots.reduce((sum, { bytes, lasting }) => sum + (lasting ? bytes : 0), 0),
    unsharedBytes: tenants.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** Where `plan` records, and whose memory it uses. */
export interface PlanOptions {
  readonly device?: Device;
  /** Memory that the plan shares with others for what does not outlast a run. */
  readonly arena?: PlanArena | undefined;
}

/**
 * Records what a function does on the device without running it; `run` of the plan does it, as often as wanted.
 * The function must not read from the device, and must give the same commands each time: numbers that change come in tensors.
 */
export function plan<T>(run: () => T, { device = currentDevice(), arena }: PlanOptions = {}): Plan<T> {
  const { result, recording } = device.record(() => scope(run));
  return new Plan(device, { recording, result, arena });
}

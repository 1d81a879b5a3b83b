import {
  assign,
  backward,
  cast,
  clone,
  type LossScale,
  mul,
  noGrad,
  type Plan,
  plan,
  PlanArena,
  type Precision,
  stack,
  type Tensor,
  tensor,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import { type Communicator, singleProcess } from './distributed/communicator.ts';
import { gatherFloats, gatheredInTurn } from './distributed/gather.ts';
import { type Departures, GradientSums, type GradientSumsOptions } from './distributed/gradient-sums.ts';
import { flattened, namesOf, uploaded } from './numbers.ts';
import type { Optimizer } from './opposed-adamw.ts';
import type { AdamWStep } from './optimizer.ts';
import type { HostValues, PictureSize, Stage, TrainingBatch } from './stage.ts';

/** What a training step goes by. */
export interface StepNumbers extends AdamWStep {
  /** Steps done before this one. */
  readonly step: number;
}

/** What the host learns of a step. */
export interface StepResult {
  readonly loss: number;
  readonly gradientNorm: number;
  readonly metrics: Readonly<Record<string, number>>;
}

type Inputs<T> = Readonly<Record<string, T>>;

/** What the passes over the batches leave on the device. */
interface PassOutput {
  /** Loss and metrics of each batch, in the order of `names`. [batches * names]. */
  readonly numbers: Tensor;
  readonly names: readonly string[];
  readonly observed: readonly (readonly Tensor[])[];
}

/** What the update leaves on the device: gradient norm, and the loss scale where there is one. [1 or 2]. */
type UpdateOutput = Tensor;

type StepOutput = PassOutput & { readonly optimizer: UpdateOutput };

interface PlannedStep {
  readonly inputs: readonly Inputs<Tensor>[];
  /** All of a step; or its passes alone, where gradients of several ranks are added up before the update. */
  readonly plan: Plan<StepOutput | PassOutput>;
  readonly departures: Departures | undefined;
}

/** How a training step computes, and with whom. */
export interface TrainStepOptions extends GradientSumsOptions {
  /** Type of the operands of products; f16 wants an optimizer with a loss scale. f32 if not given. */
  readonly precision?: Precision | undefined;
  /** The processes that share each batch; none but this one if not given. */
  readonly communicator?: Communicator | undefined;
}

/** Plans kept for other shapes of batches: one for each of seven ratios of pictures, and one to spare. */
const plansKept = 8;

/** A batch on the host, as a plan takes it. */
interface StepInput {
  readonly values: Inputs<HostValues>;
  /** [B, 3, H, W] of its pictures. */
  readonly shape: TrainingBatch['shape'];
}

/** Training steps of a stage: recorded once for each shape of batches, then replayed. */
export class TrainStep {
  private readonly stage: Stage;
  private readonly optimizer: Optimizer;
  private readonly precision: Precision;
  private readonly communicator: Communicator;
  /** Where there are several ranks. */
  private readonly sums: GradientSums | undefined;
  private update: Plan<UpdateOutput> | undefined;
  private readonly planned = new Map<string, PlannedStep>();
  /** Plans of several shapes never run at once: activations and gradients of all take the room of the largest. */
  private readonly arena = new PlanArena();

  constructor(stage: Stage, optimizer: Optimizer, options: TrainStepOptions = {}) {
    const { precision = 'f32', communicator = singleProcess } = options;
    this.stage = stage;
    this.optimizer = optimizer;
    this.precision = precision;
    this.communicator = communicator;
    this.sums = communicator.size > 1 ? new GradientSums(optimizer.parameters, communicator, options) : undefined;
  }

  /** Forward and backward of every batch, clip, step; then what the host wants to know of it. */
  async run(batches: readonly TrainingBatch[], numbers: StepNumbers): Promise<StepResult> {
    const { stage, optimizer, communicator } = this;
    const inputs: StepInput[] = [];
    for (const [i, batch] of batches.entries()) {
      const first = communicator.rank * batch.shape[0];
      inputs.push({
        values: await stage.inputs(batch, numbers.step * batches.length + i, { first }),
        shape: batch.shape,
      });
    }
    const planned = this.plannedFor(inputs);
    inputs.forEach(({ values }, i) => fill(planned.inputs[i]!, values));
    optimizer.prepare(numbers);
    const { numbers: measured, names, optimizer: state, observed } = await this.replay(planned);
    const rows = await gatherFloats(communicator, await measured.data());
    const { loss, ...metrics } = meanRows(rows, names) as { loss: number };
    const [gradientNorm, lossScale] = await state.data();
    const noted = await stage.afterStep?.(numbers.step, gatheredInTurn(communicator, observed));
    return {
      loss,
      gradientNorm: gradientNorm!,
      metrics: { ...metrics, ...(lossScale !== undefined && { lossScale }), ...noted },
    };
  }

  /** Frees all plans. */
  dispose(): void {
    for (const planned of this.planned.values()) drop(planned);
    this.planned.clear();
    this.update?.dispose();
    this.sums?.dispose();
    this.arena.dispose();
  }

  /** The device's part of a step. With several ranks gradients are added up between the passes and the update. */
  private async replay({ plan: replay, departures }: PlannedStep): Promise<StepOutput> {
    replay.run();
    if (!departures) return replay.result as StepOutput;
    this.update ??= plan(() => this.updateBy(this.sums!.sums.map((sum) => cast(sum, 'f32'))));
    await this.sums!.add(departures);
    this.update.run();
    return { ...replay.result, optimizer: this.update.result };
  }

  private plannedFor(inputs: readonly StepInput[]): PlannedStep {
    const key = JSON.stringify(
      inputs.map(({ values, shape }) => [shape, ...Object.entries(values).map(([name, input]) => [name, input.shape])]),
    );
    const known = this.planned.get(key) ?? this.record(inputs);
    this.planned.delete(key);
    this.planned.set(key, known);
    const oldest = this.planned.keys().next().value!;
    if (this.planned.size > plansKept) {
      drop(this.planned.get(oldest)!);
      this.planned.delete(oldest);
    }
    return known;
  }

  private record(inputs: readonly StepInput[]): PlannedStep {
    const places = inputs.map(({ values }) =>
      Object.fromEntries(Object.entries(values).map(([name, input]) => [name, uploaded(input).keep()])),
    );
    const sizes = inputs.map(({ shape: [, , height, width] }) => ({ height, width }));
    const departures = this.sums?.depart();
    const perform = (): StepOutput | PassOutput => {
      const { gradients, ...output } = this.pass(places, sizes, departures?.onFinal);
      return departures ? output : { ...output, optimizer: this.updateBy(gradients) };
    };
    const recorded = plan(() => withPrecision(this.precision, perform), { arena: this.arena });
    return { inputs: places, plan: recorded, departures };
  }

  /** Forward and backward of every batch. Gradients are those of the mean over the batches of all ranks, or this rank's part of it. */
  private pass(
    inputs: readonly Inputs<Tensor>[],
    sizes: readonly PictureSize[],
    onFinal: Departures['onFinal'] | undefined,
  ): PassOutput & { readonly gradients: readonly Tensor[] } {
    const { parameters, lossScale } = this.optimizer;
    const upstream = factorOf(lossScale, inputs.length * this.communicator.size);
    let gradients: readonly Tensor[] | undefined;
    const outputs = inputs.map((input, i) => {
      const { loss, metrics, observed = [] } = this.stage.forward(input, sizes[i]!);
      const isLast = i === inputs.length - 1;
      gradients = backward(loss, parameters, upstream, { onto: gradients, onFinal: isLast ? onFinal : undefined });
      const numbers: Inputs<Tensor> = { ...metrics, loss };
      return { numbers, observed };
    });
    const names = namesOf(outputs[0]!.numbers);
    const numbers = noGrad(() => flattened(outputs.flatMap((output) => Object.values(output.numbers))));
    const observed = outputs.map((output) => output.observed);
    return { numbers, names, observed, gradients: gradients! };
  }

  /** Steps the parameters by the gradients of all ranks. */
  private updateBy(gradients: readonly Tensor[]): UpdateOutput {
    const { lossScale } = this.optimizer;
    return noGrad(() => {
      // The scale as the gradients had it: the update changes it.
      const scale = lossScale ? [clone(lossScale.factor())] : [];
      return stack([this.optimizer.update(gradients), ...scale]);
    });
  }
}

function fill(places: Inputs<Tensor>, inputs: Inputs<HostValues>): void {
  for (const [name, { values }] of Object.entries(inputs)) assign(places[name]!, values);
}

function drop({ plan: replay, inputs }: PlannedStep): void {
  replay.dispose();
  for (const input of inputs) for (const place of Object.values(input)) place.dispose();
}

/** What each batch's loss is multiplied by, of all ranks, so that gradients added up are those of the mean: undefined for 1. f32 []. */
function factorOf(lossScale: LossScale | undefined, batches: number): Tensor | undefined {
  if (batches === 1) return lossScale?.factor();
  return lossScale ? mul(lossScale.factor(), 1 / batches) : tensor([1 / batches], []);
}

/** The mean of each named column. */
const meanRows = (values: Float32Array, names: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    names.map((name, column) => {
      const rows = values.length / names.length;
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += values[row * names.length + column]!;
      return [name, sum / rows];
    }),
  );

import {
  assign,
  backward,
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
import { flattened, namesOf, uploaded } from './numbers.ts';
import type { Optimizer } from './opposed-adamw.ts';
import type { AdamWStep } from './optimizer.ts';
import type { HostValues, PictureSize, Stage, TrainingBatch } from './stage.ts';

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

/** What one recorded step leaves on the device. */
interface StepOutput {
  /** Loss and metrics of each batch, in the order of `names`. [batches * names]. */
  readonly numbers: Tensor;
  readonly names: readonly string[];
  /** Gradient norm, and the loss scale where there is one. [1 or 2]. */
  readonly optimizer: Tensor;
  readonly observed: readonly (readonly Tensor[])[];
}

interface PlannedStep {
  readonly inputs: readonly Inputs<Tensor>[];
  readonly plan: Plan<StepOutput>;
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
  private readonly planned = new Map<string, PlannedStep>();
  /** Plans of several shapes never run at once: activations and gradients of all take the room of the largest. */
  private readonly arena = new PlanArena();

  /** @param precision type of the operands of products; f16 wants an optimizer with a loss scale. */
  constructor(stage: Stage, optimizer: Optimizer, precision: Precision = 'f32') {
    this.stage = stage;
    this.optimizer = optimizer;
    this.precision = precision;
  }

  /** Forward and backward of every batch, clip, step; then what the host wants to know of it. */
  async run(batches: readonly TrainingBatch[], numbers: StepNumbers): Promise<StepResult> {
    const { stage, optimizer } = this;
    const inputs: StepInput[] = [];
    for (const [i, batch] of batches.entries())
      inputs.push({ values: await stage.inputs(batch, numbers.step * batches.length + i), shape: batch.shape });
    const { plan: replay, inputs: places } = this.plannedFor(inputs);
    inputs.forEach(({ values }, i) => fill(places[i]!, values));
    optimizer.prepare(numbers);
    replay.run();
    const { numbers: measured, names, optimizer: state, observed } = replay.result;
    const { loss, ...metrics } = meanRows(await measured.data(), names) as { loss: number };
    const [gradientNorm, lossScale] = await state.data();
    const noted = await stage.afterStep?.(numbers.step, observed);
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
    this.arena.dispose();
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
    const perform = (): StepOutput => withPrecision(this.precision, () => this.perform(places, sizes));
    return { inputs: places, plan: plan(perform, { arena: this.arena }) };
  }

  /** The device's part: forward and backward of every batch, then the update by their mean gradient. */
  private perform(inputs: readonly Inputs<Tensor>[], sizes: readonly PictureSize[]): StepOutput {
    const { parameters, lossScale } = this.optimizer;
    const upstream = factorOf(lossScale, inputs.length);
    let gradients: readonly Tensor[] = [];
    const outputs = inputs.map((input, i) => {
      const { loss, metrics, observed = [] } = this.stage.forward(input, sizes[i]!);
      gradients = backward(loss, parameters, upstream, i ? { onto: gradients } : {});
      const numbers: Inputs<Tensor> = { ...metrics, loss };
      return { numbers, observed };
    });
    const names = namesOf(outputs[0]!.numbers);
    return noGrad(() => {
      // The scale as the gradients had it: the update changes it.
      const scale = lossScale ? [clone(lossScale.factor())] : [];
      const norm = this.optimizer.update(gradients);
      return {
        numbers: flattened(outputs.flatMap(({ numbers }) => Object.values(numbers))),
        names,
        optimizer: stack([norm, ...scale]),
        observed: outputs.map(({ observed }) => observed),
      };
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

/** What each batch's loss is multiplied by, so that gradients added up are those of the mean: undefined for 1. f32 []. */
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

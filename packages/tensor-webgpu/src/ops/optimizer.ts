import { noGrad } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { adamKernel, sgdKernel } from '../kernels/optimizer.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { sameShape } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { floatStorageOf, launch } from './launch.ts';
import { contiguous } from './view.ts';

/** What every optimiser step may be told by tensors on the device, so that nothing has to be read back. */
export interface StepControl {
  /** A tensor of one element that multiplies each gradient first: `clipFactor` makes one. */
  readonly factor?: Tensor | undefined;
  /** A bool tensor of one element: where it is 0 the step changes nothing. `allFinite` makes one. */
  readonly onlyIf?: Tensor | undefined;
}

/** A parameter with its gradient and Adam's running moments, all of one shape; moments start as zeros. */
export interface AdamSlot {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly first: Tensor;
  readonly second: Tensor;
}

export interface AdamOptions extends StepControl {
  /** Size of the step. */
  readonly learningRate: number;
  /** Number of this step, from 1: it undoes the bias of the moments. */
  readonly step: number;
  /** How much of the first and of the second moment stays; 0.9 and 0.999 if not given. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 if not given. */
  readonly eps?: number;
  /** Share of the parameter, times the learning rate, that is taken away; 0 if not given. */
  readonly weightDecay?: number;
}

/** A parameter with its gradient and its running momentum, all of one shape; momentum starts as zeros. */
export interface SgdSlot {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly velocity: Tensor;
}

export interface SgdOptions extends StepControl {
  /** Size of the step. */
  readonly learningRate: number;
  /** How much of the running momentum stays; 0 if not given. */
  readonly momentum?: number;
  /** Multiple of the parameter that is added to its gradient; 0 if not given. */
  readonly weightDecay?: number;
  /** Looks ahead by the momentum; false if not given. */
  readonly nesterov?: boolean;
}

/** One Adam step (Kingma and Ba, 2015), in place; weight decay is added to the gradient, as PyTorch's Adam does. */
export const adamStep = (slots: readonly AdamSlot[], options: AdamOptions): void =>
  adam('adamStep', slots, options, false);

/** One AdamW step (Loshchilov and Hutter, 2019), in place; weight decay shrinks the parameter apart from the gradient. */
export const adamwStep = (slots: readonly AdamSlot[], options: AdamOptions): void =>
  adam('adamwStep', slots, options, true);

function adam(op: string, slots: readonly AdamSlot[], options: AdamOptions, decoupled: boolean): void {
  const { learningRate, step, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0 } = options;
  check(op, Number.isInteger(step) && step >= 1, () => `step must count from 1, got ${step}.`);
  const uniforms = {
    rate: learningRate / (1 - betas[0] ** step),
    correction: Math.sqrt(1 - betas[1] ** step),
    beta1: betas[0],
    beta2: betas[1],
    eps,
    decay: weightDecay,
    keep: 1 - learningRate * weightDecay,
  };
  for (const slot of slots)
    stepSlot(op, { kernel: adamKernel, slot: { ...slot }, uniforms, variant: decoupled }, options);
}

/** One step of gradient descent with momentum, in place, as PyTorch's SGD without dampening. */
export function sgdStep(slots: readonly SgdSlot[], options: SgdOptions): void {
  const { learningRate, momentum = 0, weightDecay = 0, nesterov = false } = options;
  const uniforms = { rate: learningRate, momentum, decay: weightDecay };
  for (const slot of slots)
    stepSlot('sgdStep', { kernel: sgdKernel, slot: { ...slot }, uniforms, variant: nesterov }, options);
}

interface SlotStep {
  readonly kernel: typeof adamKernel;
  readonly slot: Readonly<Record<string, Tensor>>;
  readonly uniforms: Readonly<Record<string, number>>;
  readonly variant: boolean;
}

function stepSlot(op: string, { kernel, slot, uniforms, variant }: SlotStep, { factor, onlyIf }: StepControl): void {
  const { parameter, gradient } = slot as { parameter: Tensor; gradient: Tensor };
  checkSlot(op, slot, parameter);
  const dense = noGrad(() => contiguous(gradient));
  const vectors = Math.ceil(parameter.size / 4);
  launch(kernel, {
    spec: { type: floatStorageOf(gradient), clip: factor !== undefined, guarded: onlyIf !== undefined, variant },
    tensors: { ...slot, gradient: dense, ...(factor && { factor }), ...(onlyIf && { only_if: onlyIf }) },
    uniforms: { vectors, ...uniforms },
    grid: foldGrid(Math.ceil(vectors / 64)),
  });
  if (dense !== gradient) dense.dispose();
}

/** Written tensors are whole f32 storages, so that the kernel can go through them by vectors. */
function checkSlot(op: string, slot: Readonly<Record<string, Tensor>>, parameter: Tensor): void {
  for (const [name, value] of Object.entries(slot)) {
    check(
      op,
      sameShape(value.shape, parameter.shape),
      () => `${name} must have the parameter's shape [${parameter.shape}], got [${value.shape}].`,
    );
    check(
      op,
      name === 'gradient' || (value.dtype === 'f32' && value.isPacked),
      () => `${name} must be a packed f32 tensor, got ${value.dtype} with strides [${value.strides}].`,
    );
  }
}

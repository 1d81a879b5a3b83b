import { noGrad } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { adamTensors, controlSize, multiAdamKernel, stepControlKernel } from '../kernels/optimizer.wgsl.ts';
import { foldGrid } from '../kernels/snippets.ts';
import { scope } from '../scope.ts';
import { contiguousStrides, sameShape } from '../shape.ts';
import { empty, type Tensor, zeros } from '../tensor.ts';
import { blockEnds, measure, tableUniforms } from './gradient-norm.ts';
import { launch } from './launch.ts';
import type { LossScale } from './loss-scale.ts';
import { clone, contiguous, reshape, slice, writeSlice } from './view.ts';

/** A parameter, and whether weight decay applies to it. */
export interface AdamWParameter {
  readonly parameter: Tensor;
  readonly decayed: boolean;
}

/** Constants of AdamW, betas 0.9 and 0.999 and eps 1e-8 by default, and what it does beside. */
export interface MultiAdamWOptions {
  /** How much of the first and of the second moment stays; 0.9 and 0.999 if not given. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment; 1e-8 if not given. */
  readonly eps?: number;
  /** Gradients are those of a loss times this scale; each step updates it. */
  readonly lossScale?: LossScale | undefined;
  /**
   * Keeps an exponential moving average of the parameters, of this decay in the long run: step t decays by min(decay, (1 + t) / (10 + t)),
   * so that the first steps are soon forgotten.
   */
  readonly averageDecay?: number | undefined;
}

/** What changes from step to step. */
export interface AdamWNumbers {
  /** Size of the step. */
  readonly learningRate: number;
  /** Share of the decayed parameters, times the learning rate, that is taken away. */
  readonly weightDecay: number;
  /** Largest norm of all gradients together. */
  readonly clipNorm: number;
  /** Number of this step, from 1: it undoes the bias of the moments. */
  readonly step: number;
}

/** Running moments of one parameter, and its average where one is kept: of its shape each. */
export interface Moments {
  readonly first: Tensor;
  readonly second: Tensor;
  readonly average?: Tensor;
}

/** What is kept for each element of a parameter. */
type Kept = keyof Moments;

/** Parameters that one dispatch steps, with what is kept of them one behind the other, each from a whole vector on. */
interface Group {
  readonly members: readonly AdamWParameter[];
  /** First vector of what is kept of each member. */
  readonly starts: readonly number[];
  readonly arenas: Readonly<Partial<Record<Kept, Tensor>> & Record<'first' | 'second', Tensor>>;
}

const vectorsOf = ({ size }: Tensor): number => Math.ceil(size / 4);

/**
 * AdamW (Loshchilov and Hutter, 2019) over all parameters of a model in a few dispatches, with norm clipping; a step whose gradients are not finite changes nothing.
 *
 * Parameters and gradients stay tensors of their own, several of them bound to a dispatch, because every op takes its operands from the start of a storage:
 * views into one arena would have to be copied out before each product. Moments and averages, which nobody else reads, share an arena a dispatch.
 * Rate, bias corrections, decay, clip factor and the verdict on the gradients reach the kernels through small tensors,
 * so that the same dispatches serve every step.
 */
export class MultiAdamW {
  /** What is kept of every parameter, in their order: views of what the steps change. */
  readonly moments: readonly Moments[];
  private readonly groups: readonly Group[];
  private readonly betas: readonly [number, number];
  private readonly eps: number;
  private readonly lossScale: LossScale | undefined;
  private readonly averageDecay: number | undefined;
  /** (rate / (1 - b1^t), sqrt(1 - b2^t), rate x decay, clip norm, 1 - average decay): f32 [5]. */
  private readonly settings: Tensor;

  constructor(
    parameters: readonly AdamWParameter[],
    { betas = [0.9, 0.999], eps = 1e-8, lossScale, averageDecay }: MultiAdamWOptions = {},
  ) {
    check(
      'MultiAdamW',
      averageDecay === undefined || (averageDecay >= 0 && averageDecay < 1),
      () => `averageDecay must be from 0 to below 1, got ${averageDecay}.`,
    );
    for (const { parameter } of parameters)
      check(
        'MultiAdamW',
        parameter.dtype === 'f32' && parameter.isPacked,
        () => `parameters must be packed f32 tensors, got ${parameter.dtype} with strides [${parameter.strides}].`,
      );
    this.groups = groupsOf(parameters, averageDecay !== undefined);
    this.moments = this.groups.flatMap(momentsOf);
    this.startAverages();
    this.betas = betas;
    this.eps = eps;
    this.lossScale = lossScale;
    this.averageDecay = averageDecay;
    this.settings = zeros([5]).keep();
  }

  /** One step in place, gradients in the order of the parameters. Returns the norm of the unscaled gradients before clipping, f32 []. */
  step(gradients: readonly Tensor[], numbers: AdamWNumbers): Tensor {
    this.prepare(numbers);
    return this.update(gradients);
  }

  /** Puts the numbers of the next update on the device. */
  prepare({ learningRate, weightDecay, clipNorm, step }: AdamWNumbers): void {
    check('MultiAdamW', Number.isInteger(step) && step >= 1, () => `step must count from 1, got ${step}.`);
    const [beta1, beta2] = this.betas;
    const averageDecay = Math.min(this.averageDecay ?? 0, (1 + step) / (10 + step));
    const values = [
      learningRate / (1 - beta1 ** step),
      Math.sqrt(1 - beta2 ** step),
      learningRate * weightDecay,
      clipNorm,
      1 - averageDecay,
    ];
    this.settings.storage.device.write(this.settings.buffer, Float32Array.from(values));
  }

  /** The device's part of a step, with the numbers that are there; it can be planned. Returns what `step` returns. */
  update(gradients: readonly Tensor[]): Tensor {
    const members = this.groups.flatMap((group) => group.members);
    members.forEach(({ parameter }, i) => checkGradient(parameter, gradients[i]));
    return scope(() => {
      const dense = noGrad(() => gradients.map((gradient) => contiguous(gradient)));
      const { norm, control } = this.control(dense);
      let at = 0;
      for (const group of this.groups) this.stepGroup(group, dense.slice(at, (at += group.members.length)), control);
      return norm;
    });
  }

  /** What the gradients make of the settings: the numbers that the parameters are stepped by. */
  private control(gradients: readonly Tensor[]): { norm: Tensor; control: Tensor } {
    const { settings, lossScale } = this;
    const parts = measure('MultiAdamW', gradients);
    const { device } = parts.storage;
    const [norm, control] = [empty([], 'f32', device), empty([controlSize], 'f32', device)];
    launch(stepControlKernel, {
      spec: { scaled: lossScale !== undefined },
      tensors: { parts, settings, ...(lossScale && { scale: lossScale.state }), norm, control },
      uniforms: { count: parts.shape[0]!, growth: lossScale?.growth ?? 0, most: lossScale?.most ?? 0 },
      grid: [1],
    });
    return { norm, control };
  }

  private stepGroup({ members, starts, arenas }: Group, gradients: readonly Tensor[], control: Tensor): void {
    const parameters = members.map(({ parameter }) => parameter);
    const ends = blockEnds(parameters);
    const numbered = (name: string, tensors: readonly Tensor[]): Record<string, Tensor> =>
      Object.fromEntries(tensors.map((tensor, s) => [`${name}${s}`, tensor]));
    const columns = {
      end: ends,
      size: parameters.map(({ size }) => size),
      at: starts,
      decayed: members.map(({ decayed }) => Number(decayed)),
    };
    launch(multiAdamKernel, {
      spec: { type: 'f32', count: members.length, averaged: arenas.average !== undefined } as const,
      tensors: { ...numbered('p', parameters), ...numbered('g', gradients), ...arenas, control },
      uniforms: { beta1: this.betas[0], beta2: this.betas[1], eps: this.eps, ...tableUniforms(columns) },
      grid: foldGrid(ends.at(-1)!),
    });
  }

  /** Lets averages, where they are kept, begin with the parameters as they are. */
  startAverages(): void {
    eachAverage(this.groups, (parameter, arena, start) => writeSlice(arena, parameter, { axis: 0, start }));
  }

  /** Exchanges parameters and their averages, bit for bit: the second call puts both back. Nothing where no averages are kept. */
  swapAverages(): void {
    eachAverage(this.groups, (parameter, arena, start) => {
      const own = clone(parameter);
      writeSlice(parameter, slice(arena, 0, start, start + parameter.size), { axis: 0, start: 0 });
      writeSlice(arena, own, { axis: 0, start });
    });
  }

  /** Frees moments, averages and settings; parameters and loss scale belong to others. */
  dispose(): void {
    const kept = [...this.groups.map(({ arenas }) => arenas), ...this.moments];
    for (const tensor of [this.settings, ...kept.flatMap((some) => Object.values(some) as Tensor[])]) tensor.dispose();
  }
}

/** Shows every parameter, flat, with the arena that holds its average and its start there. */
function eachAverage(groups: readonly Group[], see: (parameter: Tensor, arena: Tensor, start: number) => void): void {
  for (const { members, starts, arenas } of groups)
    members.forEach(({ parameter }, s) =>
      scope(() =>
        noGrad(() => arenas.average && see(reshape(parameter, [parameter.size]), arenas.average, 4 * starts[s]!)),
      ),
    );
}

/** Neighbours that bind together, and whose moments fit one binding. */
function groupsOf(parameters: readonly AdamWParameter[], averaged: boolean): Group[] {
  const groups: AdamWParameter[][] = [];
  let vectors = 0;
  for (const member of parameters) {
    const { device } = member.parameter.storage;
    const most = adamTensors(device.gpu.limits.maxStorageBuffersPerShaderStage, averaged);
    const own = vectorsOf(member.parameter);
    const fits =
      groups.length > 0 && groups.at(-1)!.length < most && 16 * (vectors + own) <= device.largestBindingBytes;
    if (fits) groups.at(-1)!.push(member);
    else groups.push([member]);
    vectors = fits ? vectors + own : own;
  }
  return groups.map((members) => groupOf(members, averaged));
}

function groupOf(members: readonly AdamWParameter[], averaged: boolean): Group {
  const starts: number[] = [];
  let vectors = 0;
  for (const { parameter } of members) {
    starts.push(vectors);
    vectors += vectorsOf(parameter);
  }
  const { device } = members[0]!.parameter.storage;
  const arena = (): Tensor => zeros([4 * vectors], { device }).keep();
  return { members, starts, arenas: { first: arena(), second: arena(), ...(averaged && { average: arena() }) } };
}

const momentsOf = ({ members, starts, arenas }: Group): Moments[] =>
  members.map(({ parameter: { shape } }, s) => {
    const part = (arena: Tensor): Tensor => arena.view(shape, contiguousStrides(shape), 4 * starts[s]!).keep();
    const { first, second, average } = arenas;
    return { first: part(first), second: part(second), ...(average && { average: part(average) }) };
  });

function checkGradient(parameter: Tensor, gradient: Tensor | undefined): void {
  check(
    'MultiAdamW',
    gradient !== undefined && gradient.dtype === 'f32' && sameShape(gradient.shape, parameter.shape),
    () => `gradient must be f32 [${parameter.shape}], got ${gradient?.dtype} [${gradient?.shape}].`,
  );
}

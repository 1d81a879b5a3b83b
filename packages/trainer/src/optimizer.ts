import {
  checkWeights,
  loadTensors,
  type LossScale,
  MultiAdamW,
  type StoredTensor,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';

/** Names of tensors that are places or scales rather than maps; weight decay would pull them to zero for no reason. */
const undecayedNames =
  /cls_token|start_token|task_token|cfg_uncond|pos_embed|pos_1LC|pos_start|start_pos|lvl_embed|gamma|beta|ada_gss|moe_bias|scale_mul/;

const averageName = /\.average$/;

/** True for the tensors that weight decay applies to: no biases, nothing of one axis, none of the names above. */
export const isDecayed = (name: string, { rank }: Tensor): boolean =>
  rank > 1 && !name.endsWith('bias') && !undecayedNames.test(name);

/** What a step of AdamW may change by. */
export interface AdamWStep {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Largest norm of all gradients together. */
  readonly clipNorm: number;
}

/**
 * AdamW over named parameters (betas 0.9 and 0.95), with norm clipping, and with a moving average of the weights where asked; a step whose
 * gradients are not finite changes nothing.
 */
export class AdamW {
  private readonly named: ReadonlyMap<string, Tensor>;
  private readonly optimizer: MultiAdamW;
  /** Gradients are those of a loss times this scale, if any. */
  readonly lossScale: LossScale | undefined;
  /** Steps so far that changed the weights; the bias of the moments goes by them. */
  steps = 0;

  constructor(
    parameters: ReadonlyMap<string, Tensor>,
    options: {
      readonly betas?: readonly [number, number];
      /** Gradients are those of a loss times this scale. */
      readonly lossScale?: LossScale;
      /** Keeps a moving average of the weights: step t decays it by min(averageDecay, (1 + t) / (10 + t)). */
      readonly averageDecay?: number | undefined;
    } = {},
  ) {
    const { betas = [0.9, 0.95], lossScale, averageDecay } = options;
    this.lossScale = lossScale;
    this.named = new Map(parameters);
    const members = [...parameters].map(([name, parameter]) => ({ parameter, decayed: isDecayed(name, parameter) }));
    this.optimizer = new MultiAdamW(members, { betas, lossScale, averageDecay });
  }

  /** Parameters in the order in which gradients are given. */
  get parameters(): Tensor[] {
    return [...this.named.values()];
  }

  /** One step in place. Returns the norm of the gradients before clipping, f32 []. */
  step(gradients: readonly Tensor[], step: AdamWStep): Tensor {
    this.prepare(step);
    return this.update(gradients);
  }

  /** Begins a step: puts its numbers on the device. */
  prepare(step: AdamWStep): void {
    this.optimizer.prepare({ ...step, step: ++this.steps });
  }

  /** Counts the last step as none, as it changed nothing: its gradients were not finite. */
  uncount(): void {
    this.steps--;
  }

  /** The device's part of a step; it can be planned, as nothing in it changes from step to step. */
  update(gradients: readonly Tensor[]): Tensor {
    return this.optimizer.update(gradients);
  }

  /** Runs something with the averaged weights in place, if averages are kept; the weights themselves come back behind it. */
  async averaged<T>(run: () => Promise<T>): Promise<T> {
    this.optimizer.swapAverages();
    try {
      return await run();
    } finally {
      this.optimizer.swapAverages();
    }
  }

  /** Leaves the averaged weights in place, if averages are kept: the end of a run. */
  finish(): void {
    this.optimizer.swapAverages();
  }

  /** Moments and averages, by the name of their parameter. */
  moments(): Map<string, Tensor> {
    const names = [...this.named.keys()];
    return new Map(
      this.optimizer.moments.flatMap((kept, i) =>
        Object.entries(kept).map(([kind, tensor]: [string, Tensor]) => [`${names[i]}.${kind}`, tensor]),
      ),
    );
  }

  /** Goes on from saved moments; averages that were not kept begin with the weights. @throws WeightsError listing every moment that does not fit */
  async load(stored: ReadonlyMap<string, StoredTensor>, steps: number): Promise<void> {
    const isNew = (name: string): boolean => averageName.test(name) && !stored.has(name);
    const moments = new Map([...this.moments()].filter(([name]) => !isNew(name)));
    const needed = new Map([...moments].map(([name, { shape }]) => [name, shape]));
    checkWeights('AdamW', { needed, given: stored, ignore: averageName });
    this.optimizer.startAverages();
    await loadTensors(moments, stored);
    this.steps = steps;
  }

  /** Frees moments and averages. */
  dispose(): void {
    this.optimizer.dispose();
  }
}

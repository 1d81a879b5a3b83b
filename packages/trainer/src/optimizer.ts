import {
  type HostTensor,
  hostFloats,
  hostTensor,
  type LossScale,
  MultiAdamW,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';

/** Names of tensors that are places or scales rather than maps; weight decay would pull them to zero for no reason. */
const undecayedNames =
  /cls_token|start_token|task_token|cfg_uncond|pos_embed|pos_1LC|pos_start|start_pos|lvl_embed|gamma|beta|ada_gss|moe_bias|scale_mul/;

/** True for the tensors that weight decay applies to: no biases, nothing of one axis, none of the names above. */
export const isDecayed = (name: string, { rank }: Tensor): boolean =>
  rank > 1 && !name.endsWith('bias') && !undecayedNames.test(name);

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
  private stepCount = 0;

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

  /** Steps taken so far. */
  get steps(): number {
    return this.stepCount;
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
    this.optimizer.prepare({ ...step, step: ++this.stepCount });
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

  /** Moments and averages on the host, by name. */
  async state(): Promise<Map<string, HostTensor>> {
    const state = new Map<string, HostTensor>();
    const moments = await this.optimizer.moments();
    [...this.named].forEach(([name, { shape }], i) => {
      for (const [kind, values] of Object.entries(moments[i]!)) state.set(`${name}.${kind}`, hostTensor(values, shape));
    });
    return state;
  }

  /** Goes on from a saved state; averages that it does not hold begin with the weights. @throws Error naming the moments that are missing. */
  load(state: ReadonlyMap<string, HostTensor>, steps: number): void {
    const names = [...this.named.keys()];
    const missing = names.filter((name) => !state.has(`${name}.first`) || !state.has(`${name}.second`));
    if (missing.length)
      throw new Error(
        `optimizer: moments of ${missing.join(', ')} are missing. The checkpoint belongs to another model.`,
      );
    const kept = (name: string): Float32Array => hostFloats(state.get(name)!);
    this.optimizer.loadMoments(
      names.map((name) => ({
        first: kept(`${name}.first`),
        second: kept(`${name}.second`),
        ...(state.has(`${name}.average`) && { average: kept(`${name}.average`) }),
      })),
    );
    this.stepCount = steps;
  }

  dispose(): void {
    this.optimizer.dispose();
  }
}

import {
  type AdamSlot,
  adamwStep,
  allFinite,
  clipFactor,
  globalNorm,
  type HostTensor,
  hostFloats,
  hostTensor,
  type Tensor,
  zeros,
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

/** AdamW over named parameters (betas 0.9 and 0.95), with norm clipping; a step whose gradients are not finite changes nothing. */
export class AdamW {
  private readonly slots: ReadonlyMap<string, Omit<AdamSlot, 'gradient'>>;
  private readonly betas: readonly [number, number];
  private stepCount = 0;

  constructor(
    parameters: ReadonlyMap<string, Tensor>,
    { betas = [0.9, 0.95] }: { readonly betas?: readonly [number, number] } = {},
  ) {
    this.betas = betas;
    const moment = (parameter: Tensor): Tensor => zeros(parameter.shape).keep();
    this.slots = new Map(
      [...parameters].map(([name, parameter]) => [
        name,
        { parameter, first: moment(parameter), second: moment(parameter) },
      ]),
    );
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.stepCount;
  }

  /** Parameters in the order in which gradients are given. */
  get parameters(): Tensor[] {
    return [...this.slots.values()].map(({ parameter }) => parameter);
  }

  /** One step in place. Returns the norm of the gradients before clipping, f32 []. */
  step(gradients: readonly Tensor[], { learningRate, weightDecay, clipNorm }: AdamWStep): Tensor {
    const norm = globalNorm(gradients);
    const control = { factor: clipFactor(norm, clipNorm), onlyIf: allFinite(gradients) };
    const step = ++this.stepCount;
    [...this.slots].forEach(([name, slot], i) => {
      const decay = isDecayed(name, slot.parameter) ? weightDecay : 0;
      adamwStep([{ ...slot, gradient: gradients[i]! }], {
        learningRate,
        weightDecay: decay,
        step,
        betas: this.betas,
        ...control,
      });
    });
    return norm;
  }

  /** The moments on the host, by name. */
  async state(): Promise<Map<string, HostTensor>> {
    const state = new Map<string, HostTensor>();
    for (const [name, { first, second }] of this.slots) {
      state.set(`${name}.first`, hostTensor(await first.data(), first.shape));
      state.set(`${name}.second`, hostTensor(await second.data(), second.shape));
    }
    return state;
  }

  /** Goes on from saved moments. @throws Error naming the moments that are missing. */
  load(state: ReadonlyMap<string, HostTensor>, steps: number): void {
    const missing = [...this.slots.keys()].filter(
      (name) => !state.has(`${name}.first`) || !state.has(`${name}.second`),
    );
    if (missing.length)
      throw new Error(
        `optimizer: moments of ${missing.join(', ')} are missing. The checkpoint belongs to another model.`,
      );
    for (const [name, { first, second }] of this.slots) {
      first.storage.device.write(first.buffer, hostFloats(state.get(`${name}.first`)!));
      second.storage.device.write(second.buffer, hostFloats(state.get(`${name}.second`)!));
    }
    this.stepCount = steps;
  }

  dispose(): void {
    for (const { first, second } of this.slots.values()) {
      first.dispose();
      second.dispose();
    }
  }
}

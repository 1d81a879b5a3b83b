import {
  abs,
  add,
  concat,
  detach,
  hostRandom,
  mean,
  mul,
  readSafetensors,
  sub,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import { codebookUsage, countHits, reviveDeadCodes, saveVqvae, type Vqvae } from '@star-webgpu/vqvae';
import { joined } from '../joined.ts';
import type { HostValues, Stage, StageOutput, TrainingBatch } from '../stage.ts';

export interface VqvaeStageOptions {
  readonly seed: number;
  /** Weight of the mean absolute error beside the mean squared one. */
  readonly absoluteWeight: number;
  /** Weight of the codebook and commitment losses. */
  readonly quantizeWeight: number;
  /** Steps between revivals of codes that nothing hit; 0 for never. */
  readonly reviveEvery: number;
  /** No revivals from this step on. */
  readonly reviveUntil: number;
}

/** Training of the VQVAE: mean absolute and squared error, codebook and commitment losses, revival of dead codes. */
export class VqvaeStage implements Stage {
  readonly name = 'vqvae';
  private readonly model: Vqvae;
  private readonly options: VqvaeStageOptions;
  private readonly counts: Float64Array;

  constructor(model: Vqvae, options: VqvaeStageOptions) {
    this.model = model;
    this.options = options;
    this.counts = new Float64Array(model.config.codebookSize);
  }

  parameters(): Map<string, Tensor> {
    return this.model.namedParameters();
  }

  async inputs({ images, shape }: TrainingBatch): Promise<Record<string, HostValues>> {
    return { images_B3HW: { values: images, shape } };
  }

  forward({ images_B3HW: images }: Readonly<Record<string, Tensor>>): StageOutput {
    const images_B3HW = images!;
    const { reconstruction_B3HW, pixelLoss, quantizeLoss, indices, lookups } = this.model.trainForward(images_B3HW);
    const absolute = mean(abs(sub(reconstruction_B3HW, images_B3HW)));
    const loss = add(
      add(mul(absolute, this.options.absoluteWeight), pixelLoss),
      mul(quantizeLoss, this.options.quantizeWeight),
    );
    const metrics = { pixel: pixelLoss, absolute, quantize: quantizeLoss };
    return { loss, metrics, observed: [concat(indices, 1), concat(lookups.map(detach), 0)] };
  }

  async afterStep(step: number, observed: readonly (readonly Tensor[])[]): Promise<Record<string, number>> {
    for (const [indices_BL] of observed) countHits(this.counts, await indices_BL!.data());
    const numbers = { used: codebookUsage(this.counts).used };
    const { reviveEvery, reviveUntil } = this.options;
    if (reviveEvery > 0 && step < reviveUntil && (step + 1) % reviveEvery === 0)
      await this.revive(step, await Promise.all(observed.map(([, lookups_RZ]) => lookups_RZ!.data())));
    return numbers;
  }

  private async revive(step: number, lookups: readonly Float32Array[]): Promise<void> {
    await reviveDeadCodes(this.model.quantizer.codebook, {
      counts: this.counts,
      lookups: joined(Float32Array, lookups),
      random: hostRandom(this.options.seed, step),
    });
    this.counts.fill(0);
  }

  /** Hits of each code since the last revival. */
  state(): readonly number[] {
    return [...this.counts];
  }

  restoreState(state: unknown): void {
    this.counts.set(state as readonly number[]);
  }

  files(dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
    return saveVqvae(this.model, dtype);
  }

  async restore(readFile: (path: string) => Promise<Uint8Array>): Promise<void> {
    this.model.load(readSafetensors(await readFile('model.safetensors')));
  }
}

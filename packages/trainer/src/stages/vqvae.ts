import {
  abs,
  add,
  detach,
  hostRandom,
  mean,
  mul,
  readSafetensors,
  sub,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { codebookUsage, countHits, reviveDeadCodes, saveVqvae, type Vqvae } from '@star-webgpu/vqvae';
import type { Stage, StageOutput, TrainingBatch } from '../stage.ts';

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
  /** Tokens and looked-up vectors of the running step's batches, until the host has read them. */
  private indices: Tensor[] = [];
  private lookups: Tensor[] = [];

  constructor(model: Vqvae, options: VqvaeStageOptions) {
    this.model = model;
    this.options = options;
    this.counts = new Float64Array(model.config.codebookSize);
  }

  parameters(): Map<string, Tensor> {
    return this.model.namedParameters();
  }

  forward({ images, shape }: TrainingBatch): StageOutput {
    const images_B3HW = tensor(images, shape);
    const { reconstruction_B3HW, pixelLoss, quantizeLoss, indices, lookups } = this.model.trainForward(images_B3HW);
    const absolute = mean(abs(sub(reconstruction_B3HW, images_B3HW)));
    const loss = add(
      add(mul(absolute, this.options.absoluteWeight), pixelLoss),
      mul(quantizeLoss, this.options.quantizeWeight),
    );
    this.indices.push(...indices.map((x) => detach(x).keep()));
    this.lookups.push(...lookups.map((x) => detach(x).keep()));
    return { loss, metrics: { pixel: pixelLoss, absolute, quantize: quantizeLoss } };
  }

  async afterStep(step: number): Promise<Record<string, number>> {
    const { indices, lookups } = this;
    for (const scale of indices) countHits(this.counts, await scale.data());
    const numbers = { used: codebookUsage(this.counts).used };
    const { reviveEvery, reviveUntil, seed } = this.options;
    if (reviveEvery > 0 && step < reviveUntil && (step + 1) % reviveEvery === 0) {
      const rows = await Promise.all(lookups.map((x) => x.data()));
      const all = Float32Array.from(rows.flatMap((values) => [...values]));
      await reviveDeadCodes(this.model.quantizer.codebook, {
        counts: this.counts,
        lookups: all,
        random: hostRandom(seed, step),
      });
      this.counts.fill(0);
    }
    for (const kept of [...indices, ...lookups]) kept.dispose();
    [this.indices, this.lookups] = [[], []];
    return numbers;
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

import {
  hostRandom,
  mean,
  noGrad,
  readSafetensors,
  reshape,
  seedWords,
  slice,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import { tokenOffsets } from '@star-webgpu/vqvae/scales';
import type { HostValues, PictureSize, Stage, StageOutput, TrainingBatch } from '../stage.ts';
import { modelFiles, type ReadInputs, StarInputs, type StarInputsOptions, type StarModels } from './star-inputs.ts';

export interface StarStageOptions extends StarInputsOptions {
  readonly seed: number;
  readonly labelSmoothing: number;
  /** Trains the text encoder along. */
  readonly trainText: boolean;
}

/** What a step reads of a batch: targets beside what the transformer reads, and the words of the drop-path seed. */
type StarStageInputs = ReadInputs & Record<'targets_BL' | 'seed', HostValues>;

/** Training of the transformer: cross-entropy of every token of every scale, given all coarser scales and the caption. */
export class StarStage implements Stage {
  readonly name = 'star';
  private readonly models: StarModels;
  private readonly inputsOf: StarInputs;
  private readonly options: StarStageOptions;

  /** @throws Error where neither a model nor the cache makes what the transformer reads. */
  constructor(models: StarModels, options: StarStageOptions) {
    this.models = models;
    this.inputsOf = new StarInputs(models, options);
    this.options = options;
  }

  /** A refiner, which this loss does not reach, is left as it is. */
  parameters(): Map<string, Tensor> {
    const { star, text } = this.learning();
    const refiner = star.refiner?.namedParameters('star.') ?? new Map<string, Tensor>();
    const stars = [...star.namedParameters('star.')].filter(([name]) => !refiner.has(name));
    const texts = text?.model.namedParameters('text.') ?? new Map<string, Tensor>();
    return new Map([...stars, ...texts]);
  }

  /** Which captions are dropped depends on seed and draw only, so that a resumed run drops the same. */
  async inputs(batch: TrainingBatch, draw: number): Promise<StarStageInputs> {
    const { seed } = this.options;
    const { indices_BL, read } = await this.inputsOf.of(batch, hostRandom(seed, draw));
    return { targets_BL: indices_BL, ...read, seed: { values: seedWords([seed + draw]), shape: [1, 2] } };
  }

  forward(inputs: Readonly<Record<string, Tensor>>, pictures: PictureSize): StageOutput {
    const { targets_BL, input_BlZ, seed } = inputs as Record<keyof StarStageInputs, Tensor>;
    const [B, L] = targets_BL.shape as [number, number];
    const { star } = this.models;
    const text = this.inputsOf.text(inputs);
    const latent = this.inputsOf.latentOf(pictures);
    const features_BLC = star.features({ input_BlZ, text, latent, dropPathSeed: seed });
    const { loss, losses, hits } = star.loss(features_BLC, targets_BL, this.options.labelSmoothing);
    const last = tokenOffsets(star.config.patchNumbers, latent).at(-2)!;
    return noGrad(() => {
      const lastScale = mean(slice(reshape(losses, [B, L]), 1, last, L));
      return { loss, metrics: { lastScale, accuracy: mean(hits) } };
    });
  }

  /** What learns: a frozen text encoder, which may be far larger, stays where it is. */
  files(dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
    return modelFiles(this.learning(), dtype);
  }

  async restore(readFile: (path: string) => Promise<Uint8Array>): Promise<void> {
    const { star, text } = this.learning();
    star.load(readSafetensors(await readFile('star/model.safetensors')));
    text?.model.load(readSafetensors(await readFile('text/model.safetensors')));
  }

  private learning(): Pick<StarModels, 'star' | 'text'> {
    const { star, text } = this.models;
    return { star, ...(this.options.trainText && text && { text }) };
  }
}

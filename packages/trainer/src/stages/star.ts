import {
  hostRandom,
  mean,
  mul,
  noGrad,
  readSafetensors,
  reshape,
  seedWords,
  slice,
  sum,
  type Tensor,
  tensor,
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

/** What a step reads of a batch: targets beside what the transformer reads, and the words of the drop-path seed, if it drops. */
type StarStageInputs = ReadInputs & Record<'targets_BL', HostValues> & Partial<Record<'seed', HostValues>>;

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
  async inputs(batch: TrainingBatch, draw: number, evaluating = false): Promise<StarStageInputs> {
    const { seed } = this.options;
    const { indices_BL, read } = await this.inputsOf.of(batch, evaluating ? undefined : hostRandom(seed, draw));
    if (evaluating) return { targets_BL: indices_BL, ...read };
    return { targets_BL: indices_BL, ...read, seed: { values: seedWords([seed + draw]), shape: [1, 2] } };
  }

  forward(inputs: Readonly<Record<string, Tensor>>, pictures: PictureSize): StageOutput {
    const { targets_BL, input_BlZ } = inputs as Record<'targets_BL' | 'input_BlZ', Tensor>;
    const { seed: dropPathSeed } = inputs;
    const { star } = this.models;
    const text = this.inputsOf.text(inputs);
    const latent = this.inputsOf.latentOf(pictures);
    const features_BLC = star.features({ input_BlZ, text, latent, ...(dropPathSeed && { dropPathSeed }) });
    const { loss, losses, hits } = star.loss(features_BLC, targets_BL, this.options.labelSmoothing);
    const offsets = tokenOffsets(star.config.patchNumbers, latent);
    return noGrad(() => {
      const [scaleLoss, scaleAccuracy] = [losses, hits].map((each) =>
        scaleMeans(reshape(each, targets_BL.shape), offsets),
      ) as [Tensor, Tensor];
      const S = scaleLoss.size;
      const lastScale = reshape(slice(scaleLoss, 0, S - 1, S), []);
      return { loss, metrics: { lastScale, accuracy: mean(hits), scaleLoss, scaleAccuracy } };
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

/** Mean over the tokens of each scale, by the offsets of all scales and the end. values: [B, L] -> [S]. */
function scaleMeans(values_BL: Tensor, offsets: readonly number[]): Tensor {
  const L = values_BL.shape[1]!;
  const S = offsets.length - 1;
  const share_LS = new Float32Array(L * S);
  for (let scale = 0; scale < S; scale++) {
    const [start, end] = [offsets[scale]!, offsets[scale + 1]!];
    for (let token = start; token < end; token++) share_LS[token * S + scale] = 1 / (end - start);
  }
  const mean_L1 = reshape(mean(values_BL, { axis: 0 }), [L, 1]);
  return sum(mul(mean_L1, tensor(share_LS, [L, S])), { axis: 0 });
}

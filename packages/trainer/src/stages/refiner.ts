import {
  embedding,
  folderBytes,
  hostRandom,
  type ModelFolder,
  noGrad,
  slice,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import { openCodes, type Refiner } from '@star-webgpu/star-transformer';
import type { BatchUse, HostValues, PictureSize, Stage, StageOutput, TrainingBatch } from '../stage.ts';
import { checkModelId } from './model-id.ts';
import { modelFolder, type ReadInputs, StarInputs, type StarInputsOptions, type StarModels } from './star-inputs.ts';

/** How `RefinerStage` trains. */
export interface RefinerStageOptions extends StarInputsOptions {
  readonly seed: number;
  /** Tells the models apart whose refiners are trained: a checkpoint goes on with the one that it began with. */
  readonly modelId?: string;
}

/**
 * What a step reads of a batch, beside what the transformer reads: of the refined scales the tokens that are fixed, V for open ones,
 * and the tokens to predict, V for fixed ones.
 */
type RefinerInputs = ReadInputs & Record<'known_Bl' | 'targets_Bl', HostValues>;

/** Apart from the streams that drop captions, one for each draw as well. */
const maskStream = 2 ** 31;

/**
 * Training of the refiner (STAR, section 3.4): cross-entropy of the open tokens of each refined scale, given the fixed ones of that scale
 * and the features of a transformer that does not learn. How many are fixed is drawn for each picture anew.
 */
export class RefinerStage implements Stage {
  readonly name = 'refiner';
  private readonly models: StarModels;
  private readonly refiner: Refiner;
  private readonly inputsOf: StarInputs;
  private readonly options: RefinerStageOptions;

  /** @throws Error if the transformer has no refiner, or where neither a model nor the cache makes what it reads. */
  constructor(models: StarModels, options: RefinerStageOptions) {
    const { refiner } = models.star;
    if (!refiner)
      throw new Error('RefinerStage: the transformer must have a refiner, got none. Give its config a refiner.');
    this.models = models;
    this.refiner = refiner;
    this.inputsOf = new StarInputs(models, options);
    this.options = options;
  }

  parameters(): Map<string, Tensor> {
    return this.refiner.namedParameters('star.');
  }

  async inputs(batch: TrainingBatch, draw: number, use: BatchUse = {}): Promise<RefinerInputs> {
    const { seed } = this.options;
    const { evaluating = false, first = 0 } = use;
    const { indices_BL, read } = await this.inputsOf.of(batch, evaluating ? undefined : hostRandom(seed, draw, first));
    const [, , height, width] = batch.shape;
    const firstToken = this.refiner.firstToken(this.inputsOf.latentOf({ height, width }));
    const [B, L] = indices_BL.shape as [number, number];
    const refined = L - firstToken;
    const [known, targets] = [new Uint32Array(B * refined), new Uint32Array(B * refined)];
    const random = hostRandom(seed, maskStream + draw, first * (1 + refined));
    const open = this.models.star.config.codebookSize;
    for (let b = 0, at = 0; b < B; b++) {
      // Published: of a picture, each token is fixed with probability arccos(r) / (pi/2), r uniform.
      const share = Math.acos(random.uniform()) / (Math.PI / 2);
      for (let token = firstToken; token < L; token++, at++) {
        const index = indices_BL.values[b * L + token]!;
        const fixed = random.uniform() < share;
        known[at] = fixed ? index : open;
        targets[at] = fixed ? open : index;
      }
    }
    const shape = [B, refined];
    return { ...read, known_Bl: { values: known, shape }, targets_Bl: { values: targets, shape } };
  }

  forward(inputs: Readonly<Record<string, Tensor>>, pictures: PictureSize): StageOutput {
    const { input_BlZ, known_Bl, targets_Bl } = inputs as Record<keyof RefinerInputs, Tensor>;
    const { star, vqvae } = this.models;
    const latent = this.inputsOf.latentOf(pictures);
    const { context, codes_BlZ } = noGrad(() => {
      const text = this.inputsOf.text(inputs);
      const features_BLC = star.features({ input_BlZ, text, latent });
      const [L, l] = [features_BLC.shape[1]!, known_Bl.shape[1]!];
      return {
        context: { features_BlC: slice(features_BLC, 1, L - l, L), pooled_BD: text.pooled, latent },
        codes_BlZ: embedding(openCodes(vqvae.quantizer.codebook), known_Bl),
      };
    });
    const hidden_BlC = this.refiner.features(this.refiner.beginAll(context), codes_BlZ);
    const { loss, openCost, accuracy } = this.refiner.loss(hidden_BlC, targets_Bl, latent);
    return { loss, metrics: { openCost, accuracy } };
  }

  /** The transformer with its refiner; the text encoder stays where it is. */
  files(dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
    return folderBytes(modelFolder({ star: this.models.star }), dtype);
  }

  /** Only the refiner moves: a checkpoint of it is a tenth of the model. */
  checkpointFolder(): ModelFolder {
    return new Map([['refiner.safetensors', { tensors: this.refiner.namedTensors() }]]);
  }

  state(): unknown {
    return { modelId: this.options.modelId };
  }

  /** @throws Error if the checkpoint's refiner belongs to another model. */
  restoreState(state: unknown): void {
    checkModelId(state, this.options.modelId);
  }
}

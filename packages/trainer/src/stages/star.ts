import {
  concat,
  folderBytes,
  hostRandom,
  type LinearCrossEntropy,
  mean,
  type ModelFolder,
  mul,
  noGrad,
  philoxBlock,
  reshape,
  slice,
  sum,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { tokenOffsets } from '@star-webgpu/vqvae/scales';
import { digestOfText } from '../checkpoints/files.ts';
import type { BatchUse, HostValues, PictureSize, Stage, StageOutput, TrainingBatch } from '../stage.ts';
import { checkScaleWeights, ofTokens, type TokenOptions, trainedTokens, type TrainedTokens } from './trained-tokens.ts';
import { modelFolder, type ReadInputs, StarInputs, type StarInputsOptions, type StarModels } from './star-inputs.ts';

/** How `StarStage` trains. */
export interface StarStageOptions extends StarInputsOptions, TokenOptions {
  readonly seed: number;
  readonly labelSmoothing: number;
  /** Trains the text encoder along. */
  readonly trainText: boolean;
  /** The transformer stays as it is: the text encoder alone learns. */
  readonly freezeStar?: boolean;
  /** Batches that make one step; 1 if not given. */
  readonly accumulate?: number;
  /** Computes the inside of each block again in the backward pass, to the same numbers, instead of keeping it. */
  readonly recompute?: boolean;
}

/**
 * What a step reads of a batch: targets beside what the transformer reads, and the words of each picture's drop-path seed, if it drops; where not all
 * tokens are trained alike, their places and what each scale counts in the loss.
 */
type StarStageInputs = Omit<ReadInputs, 'input_BlZ'> &
  Record<'targets_BL', HostValues> &
  Partial<Record<'input_BlZ' | 'places_l' | 'shares_S' | 'seed', HostValues>>;

/** What a loss gives beside itself: cost of each token, and whether its likeliest code is the right one. [B L] each. */
type TokenLoss = Pick<LinearCrossEntropy, 'loss' | 'losses' | 'hits'>;

/** Apart from the streams that drop captions, one for each draw as well. */
const tokenStream = 2 ** 31;

/** Training of the transformer: cross-entropy of every token of every scale, given all coarser scales and the caption. */
export class StarStage implements Stage {
  readonly name = 'star';
  private readonly models: StarModels;
  private readonly inputsOf: StarInputs;
  private readonly options: StarStageOptions;
  /** Digest of that of a text encoder that learns: its embeddings mean nothing with another. */
  private readonly vocabulary: string | undefined;

  /** @throws Error where neither a model nor the cache makes what the transformer reads, RangeError where scaleWeights do not fit the scales. */
  constructor(models: StarModels, options: StarStageOptions) {
    if (options.scaleWeights) checkScaleWeights(options.scaleWeights, models.star.config.patchNumbers);
    if (options.freezeStar) models.star.freeze();
    this.models = models;
    this.inputsOf = new StarInputs(models, options);
    this.options = options;
    const { text } = this.learning();
    this.vocabulary = text && digestOfText(JSON.stringify(text.tokenizer.json));
  }

  /** A refiner, which this loss does not reach, is left as it is. */
  parameters(): Map<string, Tensor> {
    const { star, text } = this.learning();
    const refiner = star.refiner?.namedParameters('star.') ?? new Map<string, Tensor>();
    const stars = this.options.freezeStar
      ? []
      : [...star.namedParameters('star.')].filter(([name]) => !refiner.has(name));
    const texts = text?.model.namedParameters('text.') ?? new Map<string, Tensor>();
    return new Map([...stars, ...texts]);
  }

  /** Which captions and tokens are dropped depends on seed, draw and place in the batch only, so that a resumed run drops the same. */
  async inputs(batch: TrainingBatch, draw: number, use: BatchUse = {}): Promise<StarStageInputs> {
    const { seed } = this.options;
    const { evaluating = false, first = 0 } = use;
    const { indices_BL, read } = await this.inputsOf.of(batch, evaluating ? undefined : hostRandom(seed, draw, first));
    const { input_BlZ, ...words } = read;
    const all = { targets_BL: indices_BL, input_BlZ };
    if (evaluating) return { ...all, ...words };
    const tokens = this.tokensOf(batch, draw);
    const [B] = batch.shape;
    const seeds = Array.from({ length: B }, (_, b) => dropPathWords(seed, draw, first + b));
    const dropPath = { values: Uint32Array.from(seeds.flat()), shape: [B, 2] };
    return { ...(tokens ? ofTokens(all, tokens) : all), ...words, seed: dropPath };
  }

  forward(inputs: Readonly<Record<string, Tensor>>, pictures: PictureSize): StageOutput {
    const { targets_BL, ...optional } = inputs as Record<'targets_BL', Tensor> & Readonly<Record<string, Tensor>>;
    const { input_BlZ, places_l, shares_S, seed: dropPathSeed } = optional;
    const { star } = this.models;
    const { recompute } = this.options;
    const text = this.inputsOf.text(inputs);
    const latent = this.inputsOf.latentOf(pictures);
    const features_BLC = star.features({ input_BlZ, places_l, text, latent, dropPathSeed, recompute });
    const offsets = tokenOffsets(star.config.patchNumbers, latent);
    const trained = offsetsUpTo(targets_BL.shape[1]!, offsets);
    const { loss, losses, hits } = shares_S
      ? this.weightedLoss(features_BLC, targets_BL, { offsets: trained, shares_S })
      : this.loss(features_BLC, targets_BL);
    return noGrad(() => {
      const [scaleLoss, scaleAccuracy] = [losses, hits].map((each) =>
        scaleMeans(reshape(each, targets_BL.shape), trained),
      ) as [Tensor, Tensor];
      const S = scaleLoss.size;
      const lastScale = reshape(slice(scaleLoss, 0, S - 1, S), []);
      return { loss, metrics: { lastScale, accuracy: mean(hits), scaleLoss, scaleAccuracy } };
    });
  }

  private loss(features_BlC: Tensor, targets_Bl: Tensor): TokenLoss {
    return this.models.star.loss(features_BlC, targets_Bl, this.options.labelSmoothing);
  }

  /** Loss in which the mean cost of each scale counts as much as its share. offsets: those of the scales and the end; shares: [S]. */
  private weightedLoss(
    features_BlC: Tensor,
    targets_Bl: Tensor,
    { offsets, shares_S }: { readonly offsets: readonly number[]; readonly shares_S: Tensor },
  ): TokenLoss {
    const [B] = targets_Bl.shape as [number, number];
    const scales = offsets.slice(1).map((end, scale) => {
      const start = offsets[scale]!;
      const { loss, losses, hits } = this.loss(slice(features_BlC, 1, start, end), slice(targets_Bl, 1, start, end));
      const rows = (x: Tensor): Tensor => reshape(x, [B, end - start]);
      return { loss: reshape(loss, [1]), losses: rows(losses), hits: rows(hits) };
    });
    const joint = (kind: keyof TokenLoss, axis: number): Tensor =>
      concat(
        scales.map((scale) => scale[kind]),
        axis,
      );
    return { loss: sum(mul(joint('loss', 0), shares_S)), losses: joint('losses', 1), hits: joint('hits', 1) };
  }

  /** The tokens that a batch is trained on; undefined for all. */
  private tokensOf({ shape: [, , height, width] }: TrainingBatch, draw: number): TrainedTokens | undefined {
    const { seed, accumulate = 1 } = this.options;
    const offsets = tokenOffsets(this.models.star.config.patchNumbers, this.inputsOf.latentOf({ height, width }));
    const step = Math.floor(draw / accumulate);
    return trainedTokens(this.options, offsets, { step, random: () => hostRandom(seed, tokenStream + draw) });
  }

  files(dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
    return folderBytes(this.checkpointFolder(), dtype);
  }

  state(): { readonly vocabulary: string | undefined } {
    return { vocabulary: this.vocabulary };
  }

  /** @throws Error if the checkpoint's text encoder learnt with another vocabulary. */
  restoreState(state: unknown): void {
    const { vocabulary } = state as ReturnType<StarStage['state']>;
    if (vocabulary !== undefined && vocabulary !== this.vocabulary)
      throw new Error(
        `train: the checkpoint must have learnt with the vocabulary of these captions, got another of digest ${vocabulary}. Put the captions back, or begin another run from its model, which keeps its vocabulary.`,
      );
  }

  /** The transformer, and a text encoder that learns: a frozen one, which may be far larger, stays where it is. */
  checkpointFolder(): ModelFolder {
    return modelFolder(this.learning());
  }

  private learning(): Pick<StarModels, 'star' | 'text'> {
    const { star, text } = this.models;
    return { star, ...(this.options.trainText && text && { text }) };
  }
}

/** Offsets of the scales that the first l tokens are of, and l. */
const offsetsUpTo = (l: number, offsets: readonly number[]): number[] => [...offsets.filter((start) => start < l), l];

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

/** Words of the drop-path seed of a picture, which depend on its place in the whole batch: several ranks drop what one would. */
const dropPathWords = (seed: number, draw: number, place: number): number[] =>
  philoxBlock([draw, place, 0, 1], [seed >>> 0, Math.floor(seed / 2 ** 32)]).slice(0, 2);

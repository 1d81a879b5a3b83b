import {
  type HostRandom,
  type ModelFolder,
  noGrad,
  scope,
  type Tensor,
  tensor,
  type WeightsFile,
} from '@star-webgpu/tensor-webgpu';
import { type Star, starFolder } from '@star-webgpu/star-transformer';
import { type TextEncoder, textEncoderFolder, type TextFeatures } from '@star-webgpu/text-encoder';
import { downsampleFactor, type Vqvae } from '@star-webgpu/vqvae';
import type { MapSize } from '@star-webgpu/vqvae/scales';
import { joined } from '../joined.ts';
import type { HostValues, PictureSize, TrainingBatch } from '../stage.ts';
import { type CaptionFeatures, captionFeatures, pictureTokens, Remembered, rowsOf, type TokenCache } from './frozen.ts';

/** What of a VQVAE training on tokens needs; only pictures want the whole of it. */
export type TokenModel = Pick<Vqvae, 'config' | 'quantizer'> & Partial<Pick<Vqvae, 'imageToTokens' | 'freeze'>>;

/** The models of the stages that train on tokens. */
export interface StarModels {
  readonly star: Star;
  /** Not needed where its features come from a cache. */
  readonly text?: TextEncoder;
  /** Makes the tokens; it never learns. */
  readonly vqvae: TokenModel;
}

/** What the frozen VQVAE makes of a picture, kept on the host. */
interface PictureInputs {
  /** Tokens of all scales. [L] */
  readonly indices: Uint32Array;
  /** The transformer's input. [(L-1) Z] */
  readonly input: Float32Array;
}

/** Captions as a step reads them: ids for an encoder that learns, features of a frozen one. */
type CaptionInputs = Record<'mask_BT', HostValues> &
  (Record<'ids_BT', HostValues> | Record<'states_BTD' | 'pooled_BD', HostValues>);

/** What the transformer reads of a batch: teacher input of the pictures, and the captions. */
export type ReadInputs = Record<'input_BlZ', HostValues> & CaptionInputs;

export interface StarInputsOptions {
  /** Share of captions replaced by the empty one. */
  readonly captionDropout: number;
  /** Host memory for the tokens of pictures that may come again, and as much for features of captions; 1 GiB if not given. */
  readonly tokenBytes?: number;
  /** What the frozen encoders made before. */
  readonly cache?: TokenCache;
}

/** Turns batches into tokens and features: pictures by the VQVAE, captions by a frozen text encoder, once each, or all of it from a cache. */
export class StarInputs {
  private readonly models: StarModels;
  private readonly options: StarInputsOptions;
  private readonly trainText: boolean;
  private readonly pictures: Remembered<PictureInputs>;
  private readonly captions: Remembered<CaptionFeatures>;

  /** @throws Error where neither a model nor the cache makes the tokens or the features. */
  constructor(models: StarModels, { trainText = false, ...options }: StarInputsOptions & { trainText?: boolean }) {
    if (!options.cache && !models.vqvae.imageToTokens)
      throw new Error('StarInputs: vqvae must be whole where no cache is given, got its quantiser. Load all of it.');
    if (!models.text && (trainText || !options.cache?.text))
      throw new Error('StarInputs: text must be an encoder where no cache has its features, got none. Load it.');
    this.models = models;
    this.options = options;
    this.trainText = trainText;
    this.pictures = new Remembered(options.tokenBytes ?? 2 ** 30);
    this.captions = new Remembered(options.tokenBytes ?? 2 ** 30);
    models.vqvae.freeze?.();
    models.vqvae.quantizer.freeze();
    if (!trainText) models.text?.model.freeze();
  }

  /** Tokens of a batch, and what the transformer reads; captions are dropped by the next numbers of a random stream, if any. */
  async of(
    batch: TrainingBatch,
    random: HostRandom | undefined,
  ): Promise<{ indices_BL: HostValues; read: ReadInputs }> {
    const known = await this.pictureInputs(batch);
    const [B, L] = [known.length, known[0]!.indices.length];
    const indices = joined(
      Uint32Array,
      known.map((tokens) => tokens.indices),
    );
    const input = joined(
      Float32Array,
      known.map((tokens) => tokens.input),
    );
    const captions = batch.captions.map((caption) =>
      random && random.uniform() < this.options.captionDropout ? '' : caption,
    );
    const words = this.trainText ? this.ids(captions) : await this.features(captions);
    const { codeWidth } = this.models.star.config;
    return {
      indices_BL: { values: indices, shape: [B, L] },
      read: { input_BlZ: { values: input, shape: [B, L - 1, codeWidth] }, ...words },
    };
  }

  /** Features of the captions of a batch on the device, by the encoder that learns or as they came. */
  text(inputs: Readonly<Record<string, Tensor>>): TextFeatures {
    const { ids_BT, mask_BT, states_BTD, pooled_BD } = inputs;
    if (ids_BT) return this.models.text!.model.forward(ids_BT, mask_BT!);
    return { states: states_BTD!, mask: mask_BT!, pooled: pooled_BD! };
  }

  /** Size of the latent maps of pictures. */
  latentOf({ height, width }: PictureSize): MapSize {
    const factor = downsampleFactor(this.models.vqvae.config);
    return { height: height / factor, width: width / factor };
  }

  private ids(captions: readonly string[]): CaptionInputs {
    const { ids, mask } = this.models.text!.tokenize(captions);
    const shape = [captions.length, ids.length / captions.length];
    return { ids_BT: { values: ids, shape }, mask_BT: { values: mask, shape } };
  }

  /** Features of captions, with zeros for padding: nothing attends to it. */
  private async features(captions: readonly string[]): Promise<CaptionInputs> {
    const known = await this.captionFeatures(captions);
    const { cache } = this.options;
    const [B, T] = [captions.length, cache?.text?.tokens ?? this.models.text!.model.config.positions];
    const D = this.models.star.config.textWidth;
    const [states, mask] = [new Float32Array(B * T * D), new Uint32Array(B * T)];
    known.forEach((one, b) => {
      states.set(one.states, b * T * D);
      mask.fill(1, b * T, b * T + one.states.length / D);
    });
    const pooled = joined(
      Float32Array,
      known.map((one) => one.pooled),
    );
    return {
      states_BTD: { values: states, shape: [B, T, D] },
      mask_BT: { values: mask, shape: [B, T] },
      pooled_BD: { values: pooled, shape: [B, D] },
    };
  }

  private async captionFeatures(captions: readonly string[]): Promise<readonly CaptionFeatures[]> {
    const { text } = this.options.cache ?? {};
    if (text) return captions.map((caption) => text.features(caption));
    if (!captions.every((caption) => this.captions.get(caption))) {
      const made = await captionFeatures(this.models.text!, captions);
      this.captions.keep(captions.map((caption, b) => [caption, made[b]!]));
    }
    return captions.map((caption) => this.captions.get(caption)!);
  }

  /** Tokens of pictures and what the transformer reads of them; made for those that come for the first time. */
  private async pictureInputs(batch: TrainingBatch): Promise<readonly PictureInputs[]> {
    const { keys } = batch;
    if (!keys.every((key) => this.pictures.get(key))) {
      const indices = await this.indicesOf(batch);
      const inputs = await this.teacherInputs(indices, batch);
      this.pictures.keep(keys.map((key, b) => [key, { indices: indices[b]!, input: inputs[b]! }]));
    }
    return keys.map((key) => this.pictures.get(key)!);
  }

  private async indicesOf({ images, shape, keys }: TrainingBatch): Promise<readonly Uint32Array[]> {
    const [, , height, width] = shape;
    const { cache } = this.options;
    if (cache) return keys.map((key) => cache.indices(key, { height, width }));
    return pictureTokens(this.models.vqvae as Pick<Vqvae, 'imageToTokens'>, { images, shape });
  }

  private async teacherInputs(
    indices: readonly Uint32Array[],
    { shape: [, , height, width] }: TrainingBatch,
  ): Promise<Float32Array[]> {
    const [B, L] = [indices.length, indices[0]!.length];
    const indices_BL = tensor(joined(Uint32Array, indices), [B, L], { dtype: 'u32' });
    const { quantizer } = this.models.vqvae;
    const input_BlZ = scope(() => noGrad(() => quantizer.teacherInput(indices_BL, this.latentOf({ height, width }))));
    const rows = rowsOf(await input_BlZ.data(), B);
    for (const made of [indices_BL, input_BlZ]) made.dispose();
    return rows;
  }
}

/** Files of the models that learn, by path inside the folder that holds both. */
export const modelFolder = ({
  star,
  text,
}: Partial<Pick<StarModels, 'text'>> & Pick<StarModels, 'star'>): ModelFolder =>
  new Map([...inside('star', starFolder(star)), ...(text ? inside('text', textEncoderFolder(text)) : [])]);

const inside = (folder: string, files: ModelFolder): (readonly [string, Uint8Array | WeightsFile])[] =>
  [...files].map(([path, file]) => [`${folder}/${path}`, file] as const);

import {
  hostRandom,
  mean,
  noGrad,
  readSafetensors,
  reshape,
  scope,
  seedWords,
  slice,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { saveStar, type Star } from '@star-webgpu/star-transformer';
import { saveTextEncoder, type TextEncoder } from '@star-webgpu/text-encoder';
import { downsampleFactor, type Vqvae } from '@star-webgpu/vqvae';
import { type MapSize, tokenOffsets } from '@star-webgpu/vqvae/scales';
import { joined } from '../joined.ts';
import type { HostValues, PictureSize, Stage, StageOutput, TrainingBatch } from '../stage.ts';

export interface StarStageOptions {
  readonly seed: number;
  /** Share of captions replaced by the empty one. */
  readonly captionDropout: number;
  readonly labelSmoothing: number;
  /** Trains the text encoder along. */
  readonly trainText: boolean;
  /** Host memory for the tokens of pictures that may come again; 1 GiB if not given. */
  readonly tokenBytes?: number;
}

/** What a step reads of a batch: targets and teacher input of the pictures, ids and mask of the captions, words of the drop-path seed. */
type StarInputs = Record<'targets_BL' | 'input_BlZ' | 'ids_BT' | 'mask_BT' | 'seed', HostValues>;

/** What the frozen VQVAE makes of a picture, kept on the host. */
interface PictureTokens {
  /** Tokens of all scales. [L] */
  readonly indices: Uint32Array;
  /** The transformer's input. [(L-1) Z] */
  readonly input: Float32Array;
}

/** Training of the transformer: cross-entropy of every token of every scale, given all coarser scales and the caption. */
export class StarStage implements Stage {
  readonly name = 'star';
  private readonly star: Star;
  private readonly text: TextEncoder;
  private readonly vqvae: Vqvae;
  private readonly options: StarStageOptions;
  private readonly tokens = new Map<string, PictureTokens>();
  private keptBytes = 0;

  constructor(
    models: { readonly star: Star; readonly text: TextEncoder; readonly vqvae: Vqvae },
    options: StarStageOptions,
  ) {
    this.star = models.star;
    this.text = models.text;
    this.vqvae = models.vqvae;
    this.options = options;
    models.vqvae.freeze();
    if (!options.trainText) models.text.model.freeze();
  }

  parameters(): Map<string, Tensor> {
    const text = this.options.trainText ? this.text.model.namedParameters('text.') : new Map<string, Tensor>();
    return new Map([...this.star.namedParameters('star.'), ...text]);
  }

  async inputs(batch: TrainingBatch, draw: number): Promise<StarInputs> {
    await this.tokenize(batch);
    const known = batch.keys.map((key) => this.tokens.get(key)!);
    const [B, L] = [known.length, known[0]!.indices.length];
    const { codeWidth } = this.star.config;
    const indices = joined(
      Uint32Array,
      known.map((tokens) => tokens.indices),
    );
    const input = joined(
      Float32Array,
      known.map((tokens) => tokens.input),
    );
    const { ids, mask } = this.text.tokenize(this.dropCaptions(batch.captions, draw));
    const T = ids.length / B;
    return {
      targets_BL: { values: indices, shape: [B, L] },
      input_BlZ: { values: input, shape: [B, L - 1, codeWidth] },
      ids_BT: { values: ids, shape: [B, T] },
      mask_BT: { values: mask, shape: [B, T] },
      seed: { values: seedWords([this.options.seed + draw]), shape: [1, 2] },
    };
  }

  /** Tokens of pictures that come for the first time. */
  private async tokenize({ images, shape, keys }: TrainingBatch): Promise<void> {
    if (keys.every((key) => this.tokens.has(key))) return;
    const [B, , height, width] = shape;
    const latent = this.latentOf({ height, width });
    const { indices, input } = scope(() =>
      noGrad(() => {
        const indices_BL = this.vqvae.imageToTokens(tensor(images, shape));
        return { indices: indices_BL, input: this.vqvae.quantizer.teacherInput(indices_BL, latent) };
      }),
    );
    const [allIndices, allInputs] = [(await indices.hostData()) as Uint32Array, await input.data()];
    const row = <T extends Uint32Array | Float32Array>(all: T, b: number): T =>
      all.slice((b * all.length) / B, ((b + 1) * all.length) / B) as T;
    indices.dispose();
    input.dispose();
    this.makeRoom(allIndices.byteLength + allInputs.byteLength);
    keys.forEach((key, b) => this.tokens.set(key, { indices: row(allIndices, b), input: row(allInputs, b) }));
  }

  /** Forgets all tokens once there are too many; only those of the running batch are needed. */
  private makeRoom(bytes: number): void {
    if (this.keptBytes + bytes > (this.options.tokenBytes ?? 2 ** 30)) {
      this.tokens.clear();
      this.keptBytes = 0;
    }
    this.keptBytes += bytes;
  }

  /** Size of the latent maps of pictures. */
  private latentOf({ height, width }: PictureSize): MapSize {
    const factor = downsampleFactor(this.vqvae.config);
    return { height: height / factor, width: width / factor };
  }

  forward(inputs: Readonly<Record<string, Tensor>>, pictures: PictureSize): StageOutput {
    const { targets_BL, input_BlZ, ids_BT, mask_BT, seed } = inputs as Record<keyof StarInputs, Tensor>;
    const [B, L] = targets_BL.shape as [number, number];
    const text = this.text.model.forward(ids_BT, mask_BT);
    const latent = this.latentOf(pictures);
    const features_BLC = this.star.features({ input_BlZ, text, latent, dropPathSeed: seed });
    const { loss, losses, hits } = this.star.loss(features_BLC, targets_BL, this.options.labelSmoothing);
    const last = tokenOffsets(this.star.config.patchNumbers, latent).at(-2)!;
    return noGrad(() => {
      const lastScale = mean(slice(reshape(losses, [B, L]), 1, last, L));
      return { loss, metrics: { lastScale, accuracy: mean(hits) } };
    });
  }

  async files(dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
    const under = (folder: string, files: ReadonlyMap<string, Uint8Array>): (readonly [string, Uint8Array])[] =>
      [...files].map(([path, bytes]) => [`${folder}/${path}`, bytes] as const);
    return new Map([
      ...under('star', await saveStar(this.star, dtype)),
      ...under('text', await saveTextEncoder(this.text, { dtype })),
    ]);
  }

  async restore(readFile: (path: string) => Promise<Uint8Array>): Promise<void> {
    this.star.load(readSafetensors(await readFile('star/model.safetensors')));
    this.text.model.load(readSafetensors(await readFile('text/model.safetensors')));
  }

  /** Which captions are dropped depends on seed and draw only, so that a resumed run drops the same. */
  private dropCaptions(captions: readonly string[], draw: number): string[] {
    const random = hostRandom(this.options.seed, draw);
    return captions.map((caption) => (random.uniform() < this.options.captionDropout ? '' : caption));
  }
}

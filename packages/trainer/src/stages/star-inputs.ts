import { type HostRandom, noGrad, scope, tensor } from '@star-webgpu/tensor-webgpu';
import { saveStar, type Star } from '@star-webgpu/star-transformer';
import { saveTextEncoder, type TextEncoder } from '@star-webgpu/text-encoder';
import { downsampleFactor, type Vqvae } from '@star-webgpu/vqvae';
import type { MapSize } from '@star-webgpu/vqvae/scales';
import { joined } from '../joined.ts';
import type { HostValues, PictureSize, TrainingBatch } from '../stage.ts';

/** The models of the stages that train on tokens. */
export interface StarModels {
  readonly star: Star;
  readonly text: TextEncoder;
  /** Makes the tokens; it never learns. */
  readonly vqvae: Vqvae;
}

/** What the frozen VQVAE makes of a picture, kept on the host. */
interface PictureTokens {
  /** Tokens of all scales. [L] */
  readonly indices: Uint32Array;
  /** The transformer's input. [(L-1) Z] */
  readonly input: Float32Array;
}

/** What the transformer reads of a batch: teacher input of the pictures, ids and mask of the captions. */
export type ReadInputs = Record<'input_BlZ' | 'ids_BT' | 'mask_BT', HostValues>;

export interface StarInputsOptions {
  /** Share of captions replaced by the empty one. */
  readonly captionDropout: number;
  /** Host memory for the tokens of pictures that may come again; 1 GiB if not given. */
  readonly tokenBytes?: number;
}

/** Turns batches into tokens: pictures by the VQVAE, once each, and captions by the text encoder. */
export class StarInputs {
  private readonly models: StarModels;
  private readonly options: StarInputsOptions;
  private readonly tokens = new Map<string, PictureTokens>();
  private keptBytes = 0;

  constructor(models: StarModels, options: StarInputsOptions) {
    this.models = models;
    this.options = options;
    models.vqvae.freeze();
  }

  /** Tokens of a batch, and what the transformer reads; captions are dropped by the next numbers of a random stream. */
  async of(batch: TrainingBatch, random: HostRandom): Promise<{ indices_BL: HostValues; read: ReadInputs }> {
    await this.tokenize(batch);
    const known = batch.keys.map((key) => this.tokens.get(key)!);
    const [B, L] = [known.length, known[0]!.indices.length];
    const { codeWidth } = this.models.star.config;
    const indices = joined(
      Uint32Array,
      known.map((tokens) => tokens.indices),
    );
    const input = joined(
      Float32Array,
      known.map((tokens) => tokens.input),
    );
    const captions = batch.captions.map((caption) => (random.uniform() < this.options.captionDropout ? '' : caption));
    const { ids, mask } = this.models.text.tokenize(captions);
    const T = ids.length / B;
    return {
      indices_BL: { values: indices, shape: [B, L] },
      read: {
        input_BlZ: { values: input, shape: [B, L - 1, codeWidth] },
        ids_BT: { values: ids, shape: [B, T] },
        mask_BT: { values: mask, shape: [B, T] },
      },
    };
  }

  /** Size of the latent maps of pictures. */
  latentOf({ height, width }: PictureSize): MapSize {
    const factor = downsampleFactor(this.models.vqvae.config);
    return { height: height / factor, width: width / factor };
  }

  /** Tokens of pictures that come for the first time. */
  private async tokenize({ images, shape, keys }: TrainingBatch): Promise<void> {
    if (keys.every((key) => this.tokens.has(key))) return;
    const { vqvae } = this.models;
    const [B, , height, width] = shape;
    const latent = this.latentOf({ height, width });
    const { indices, input } = scope(() =>
      noGrad(() => {
        const indices_BL = vqvae.imageToTokens(tensor(images, shape));
        return { indices: indices_BL, input: vqvae.quantizer.teacherInput(indices_BL, latent) };
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
}

/** Files of the transformer and its text encoder, by path inside a model's folder. */
export async function modelFiles(
  { star, text }: Pick<StarModels, 'star' | 'text'>,
  dtype: 'F32' | 'F16',
): Promise<Map<string, Uint8Array>> {
  const under = (folder: string, files: ReadonlyMap<string, Uint8Array>): (readonly [string, Uint8Array])[] =>
    [...files].map(([path, bytes]) => [`${folder}/${path}`, bytes] as const);
  return new Map([
    ...under('star', await saveStar(star, dtype)),
    ...under('text', await saveTextEncoder(text, { dtype })),
  ]);
}

import {
  crossEntropy,
  hostRandom,
  mean,
  noGrad,
  readSafetensors,
  reshape,
  scope,
  slice,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { saveStar, type Star } from '@star-webgpu/star-transformer';
import { saveTextEncoder, type TextEncoder } from '@star-webgpu/text-encoder';
import type { Vqvae } from '@star-webgpu/vqvae';
import { tokenOffsets } from '@star-webgpu/vqvae/scales';
import { tokenAccuracy } from '../accuracy.ts';
import type { Stage, StageOutput, TrainingBatch } from '../stage.ts';

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

  /** Tokens of pictures that come for the first time. */
  async prepare({ images, shape, keys }: TrainingBatch): Promise<void> {
    if (keys.every((key) => this.tokens.has(key))) return;
    const [B] = shape;
    const { indices, input } = scope(() =>
      noGrad(() => {
        const indices_BL = this.vqvae.imageToTokens(tensor(images, shape));
        return { indices: indices_BL, input: this.vqvae.quantizer.teacherInput(indices_BL) };
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

  forward(batch: TrainingBatch, draw: number): StageOutput {
    const { patchNumbers, codeWidth, codebookSize } = this.star.config;
    const known = batch.keys.map((key) => this.tokens.get(key)!);
    const [B, L] = [known.length, known[0]!.indices.length];
    const targets_BL = tensor(
      joined(
        Uint32Array,
        known.map(({ indices }) => indices),
      ),
      [B, L],
      { dtype: 'u32' },
    );
    const input_BlZ = tensor(
      joined(
        Float32Array,
        known.map(({ input }) => input),
      ),
      [B, L - 1, codeWidth],
    );
    const text = this.text.encode(this.dropCaptions(batch.captions, draw));
    const logits_BLV = this.star.forward({ input_BlZ, text, dropPathSeed: this.options.seed + draw });
    const rows = reshape(logits_BLV, [B * L, codebookSize]);
    const losses = crossEntropy(rows, reshape(targets_BL, [B * L]), { labelSmoothing: this.options.labelSmoothing });
    const loss = mean(losses);
    const last = tokenOffsets(patchNumbers).at(-2)!;
    const lastLoss = noGrad(() => mean(slice(reshape(losses, [B, L]), 1, last, L)));
    return { loss, metrics: { lastScale: lastLoss, accuracy: tokenAccuracy(rows, reshape(targets_BL, [B * L])) } };
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

function joined<T extends Uint32Array | Float32Array>(type: new (length: number) => T, rows: readonly T[]): T {
  const all = new type(rows.reduce((length, row) => length + row.length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return all;
}

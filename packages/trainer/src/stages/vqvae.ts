import {
  add,
  cast,
  concat,
  contiguous,
  detach,
  hostRandom,
  type ModelFolder,
  mul,
  noGrad,
  permute,
  reshape,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import {
  codebookUsage,
  type CodebookUsage,
  codeHits,
  reviveDeadCodes,
  saveVqvae,
  UsageMeter,
  type Vqvae,
  vqvaeFolder,
} from '@star-webgpu/vqvae';
import { joined } from '../joined.ts';
import type { BatchUse, HostValues, Observed, Stage, StageOutput, TrainingBatch } from '../stage.ts';
import { Adversary, type AdversaryOptions } from './adversary.ts';
import { type MeasuredLoss, pictureLoss, type PictureLossOptions } from './picture-loss.ts';

/** How `VqvaeStage` trains. */
export interface VqvaeStageOptions extends PictureLossOptions {
  readonly seed: number;
  /** Weight of the codebook and commitment losses. */
  readonly quantizeWeight: number;
  /** Steps between revivals of codes that nothing hit; 0 for never. */
  readonly reviveEvery: number;
  /** No revivals from this step on. */
  readonly reviveUntil: number;
  /** Trains the decoder alone: pictures keep their tokens, so that a transformer that learnt them still fits. */
  readonly decoderOnly?: boolean;
  /** A discriminator that the decoder learns to deceive. */
  readonly adversary?: AdversaryOptions | undefined;
}

/** What a run goes on from beside its weights; arrays as base64, which is shorter than their digits. */
interface VqvaeState {
  readonly counts: string;
  readonly hits: string;
  readonly steps: number;
}

/**
 * Training of the VQVAE: mean absolute and squared error, codebook and commitment losses, revival of dead codes; and, where asked, a perceptual
 * loss and a discriminator.
 */
export class VqvaeStage implements Stage {
  readonly name = 'vqvae';
  readonly opponent: Adversary | undefined;
  private readonly model: Vqvae;
  private readonly options: VqvaeStageOptions;
  private readonly usage: UsageMeter;
  /** Hits of each code since the last revival. */
  private readonly counts: Float32Array;

  constructor(model: Vqvae, options: VqvaeStageOptions) {
    this.model = model;
    if (options.decoderOnly) model.freezeTokens();
    this.options = options;
    this.opponent = options.adversary && new Adversary(options.adversary);
    this.usage = new UsageMeter(model.config);
    this.counts = new Float32Array(model.config.codebookSize);
  }

  parameters(): Map<string, Tensor> {
    const all = this.model.namedParameters();
    return this.options.decoderOnly ? new Map([...all].filter(([, value]) => value.requiresGrad)) : all;
  }

  async inputs(
    { images, shape }: TrainingBatch,
    draw: number,
    { evaluating = false }: BatchUse = {},
  ): Promise<Record<string, HostValues>> {
    const judged = !evaluating && this.opponent?.takesPart(draw);
    // Its shape alone tells that the discriminator takes part, so that there is a plan with it and one without.
    return {
      images_B3HW: { values: images, shape },
      ...(judged && { judged: { values: Uint32Array.of(1), shape: [1] } }),
    };
  }

  forward({ images_B3HW, judged }: Readonly<Record<string, Tensor>>): StageOutput {
    const { model, options, opponent } = this;
    const { features_BHWC, quantizeLoss, indices, lookups } = model.trainFeatures(images_B3HW!);
    const { lastLayer } = model;
    const images_BHW3 = contiguous(permute(images_B3HW!, [0, 2, 3, 1]));
    const lossOf = (got_BHW3: Tensor): MeasuredLoss => pictureLoss(got_BHW3, images_BHW3, options);
    const { loss, metrics } =
      judged && opponent
        ? opponent.loss({ features_BHWC, lastLayer, images_BHW3, lossOf })
        : lossOf(cast(lastLayer.forward(features_BHWC), 'f32'));
    const hits_SV = noGrad(() => codeHits(indices, model.config.codebookSize));
    const lookups_BLZ = concat(
      lookups.map((lookups_RZ) => reshape(detach(lookups_RZ), [images_B3HW!.shape[0]!, -1, lookups_RZ.shape[1]!])),
      1,
    );
    return {
      loss: add(loss, mul(quantizeLoss, options.quantizeWeight)),
      metrics: { ...metrics, quantize: quantizeLoss },
      observed: [reshape(hits_SV, [1, ...hits_SV.shape]), lookups_BLZ],
    };
  }

  async afterStep(step: number, observed: readonly (readonly Observed[])[]): Promise<Record<string, number>> {
    const V = this.counts.length;
    const S = this.model.config.patchNumbers.length;
    const hits_SV = summed(await Promise.all(observed.map(([hits_1SV]) => hits_1SV!.data())), S * V);
    this.usage.add(hits_SV);
    hits_SV.forEach((count, i) => (this.counts[i % V]! += count));
    const used = codebookUsage(this.counts).used;
    const { reviveEvery, reviveUntil, decoderOnly } = this.options;
    if (!decoderOnly && reviveEvery > 0 && step < reviveUntil && (step + 1) % reviveEvery === 0)
      await this.revive(step, await Promise.all(observed.map(([, lookups_BLZ]) => lookups_BLZ!.data())));
    return { used, ...perScale('used', this.usage.scales()), ...perScale('perplexity', this.usage.scales()) };
  }

  private async revive(step: number, lookups: readonly Float32Array[]): Promise<void> {
    await reviveDeadCodes(this.model.quantizer.codebook, {
      counts: this.counts,
      lookups: joined(Float32Array, lookups),
      random: hostRandom(this.options.seed, step),
    });
    this.counts.fill(0);
  }

  /** How the codes were used: since the last revival, and in the mean. */
  state(): VqvaeState {
    const { hits, steps } = this.usage.state();
    return { counts: toBase64(this.counts), hits: toBase64(hits), steps };
  }

  restoreState(state: unknown): void {
    const { counts, hits, steps } = state as VqvaeState;
    this.counts.set(fromBase64(counts));
    this.usage.restore({ hits: fromBase64(hits), steps });
  }

  files(dtype: 'F32' | 'F16' = 'F32'): Promise<Map<string, Uint8Array>> {
    return saveVqvae(this.model, dtype);
  }

  /** The model, and the discriminator that it learns against. */
  checkpointFolder(): ModelFolder {
    const discriminator = this.opponent?.discriminator.namedTensors();
    return new Map([
      ...vqvaeFolder(this.model),
      ...(discriminator ? [['discriminator.safetensors', { tensors: discriminator }] as const] : []),
    ]);
  }
}

/** One number of each scale, coarse to fine. */
const perScale = (name: keyof CodebookUsage, scales: readonly CodebookUsage[]): Record<string, number> =>
  Object.fromEntries(scales.map((usage, scale) => [`${name}/${scale + 1}`, usage[name]]));

/** The sum of equal parts of some arrays, element by element. */
function summed(arrays: readonly Float32Array[], length: number): Float32Array {
  const total = new Float32Array(length);
  for (const array of arrays) array.forEach((value, i) => (total[i % length]! += value));
  return total;
}

const toBase64 = (values: Float32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');

const fromBase64 = (text: string): Float32Array =>
  new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);

import {
  add,
  assign,
  bytesPerElement,
  concat,
  contiguous,
  currentPrecision,
  embedding,
  empty,
  expand,
  full,
  greater,
  mul,
  noGrad,
  permute,
  type Plan,
  plan,
  PlanArena,
  type PlanSize,
  reshape,
  scope,
  seedWords,
  slice,
  sub,
  type Tensor,
  where,
  withPrecision,
  writeSlice,
} from '@star-webgpu/tensor-webgpu';
import { firstRows, type KvCache, type WatchedText } from '@star-webgpu/star-transformer';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import { latentSize, type MapSize, tokenCount, tokenOffsets } from '@star-webgpu/vqvae';
import { draw, type Drawn as DrawnTokens } from './draw.ts';
import type { GuidedText, Models } from './generate.ts';
import { guide } from './guidance.ts';
import { type Pictures, toPictures } from './image.ts';
import { type PlannedOptions, ScaleControls, type ScaleNumbers } from './plan-numbers.ts';
import type { PlannedWatch } from './watched-words.ts';
import type { ResolvedRefine } from './refine-options.ts';
import { refineScale, type RefineScale } from './refine-scale.ts';

/** What a plan is made for; prompts, seeds and the numbers of each scale change from run to run. */
export interface SamplingSpec extends PlannedOptions {
  /** Parts of given pictures stay. */
  readonly edits: boolean;
  /** Words whose share of the cross-attention is worked out. */
  readonly watch?: PlannedWatch | undefined;
  /** Pictures. */
  readonly B: number;
  /** Text tokens of a prompt, and their width. */
  readonly T: number;
  readonly D: number;
}

/** What a scale leaves on the device. */
interface Drawn {
  readonly cache: KvCache;
  /** u32 [B, l]. */
  readonly indices_Bl: Tensor;
  /** The latent map so far. [B, h, w, Z]. */
  readonly sum_BhwZ: Tensor;
  /** Input of the next scale, [B, l', Z]; none after the last. */
  readonly next_BlZ?: Tensor;
  /** Shares of watched words, [B, W, l]. */
  readonly watched_BWl?: Tensor;
}

/** What one run draws. */
export interface SamplingRun {
  readonly text: GuidedText;
  readonly numbers: ScaleNumbers;
  /** One a picture. */
  readonly seeds: readonly number[];
  /** What stays of given pictures, where the plan edits. */
  readonly given?: GivenTokens | undefined;
  /** Tokens of watched words, where the plan watches any. */
  readonly words_BWT?: Tensor | undefined;
}

/** Tokens of given pictures, and the share of each that stays. */
export interface GivenTokens {
  /** u32 [B, L], or [1, L] for all. */
  readonly tokens_BL: Tensor;
  /** From 0, drawn anew, to 1, kept. [B, L], or [1, L] for all. */
  readonly weights_BL: Tensor;
}

/** What steps of a scale are made of. */
interface InSteps extends Pick<RefineScale, 'numbers' | 'main' | 'features_BlC' | 'pooled_BD'> {
  readonly refine: ResolvedRefine;
}

/** Sampling of one kind: each scale is recorded when it is first wanted, then replayed for other prompts, seeds and numbers. */
export class SamplingPlan {
  readonly spec: SamplingSpec;
  private readonly models: Models;
  private readonly text: TextFeatures;
  private readonly seeds_B2: Tensor;
  private readonly controls: readonly ScaleControls[];
  private readonly given: GivenTokens | undefined;
  private readonly watched: WatchedText | undefined;
  private readonly scales: Plan<Drawn>[] = [];
  private readonly latent: MapSize;
  private readonly latent_BhwZ: Tensor;
  private decoder: Plan<Tensor> | undefined;
  /** Scales and decoder never run at once: what they need on the way is the same memory. */
  private readonly arena: PlanArena = new PlanArena();

  constructor(models: Models, spec: SamplingSpec) {
    const { B, T, D } = spec;
    const { patchNumbers, codeWidth } = models.vqvae.config;
    const rows = rowsAt(spec, 0);
    this.models = models;
    this.spec = spec;
    this.text = {
      states: empty([rows, T, D]).keep(),
      mask: empty([rows, T], 'u32').keep(),
      pooled: empty([rows, D]).keep(),
    };
    this.seeds_B2 = empty([B, 2], 'u32').keep();
    this.controls = patchNumbers.map(() => new ScaleControls(spec));
    this.latent = latentSize(patchNumbers, spec.ratio);
    const { height, width } = this.latent;
    const L = tokenCount(patchNumbers, this.latent);
    if (spec.edits) this.given = { tokens_BL: empty([B, L], 'u32').keep(), weights_BL: empty([B, L]).keep() };
    if (spec.watch) this.watched = { ...spec.watch, words_BWT: empty([B, spec.watch.words, T]).keep() };
    this.latent_BhwZ = empty([B, height, width, codeWidth]).keep();
  }

  /** Puts prompts, seeds and numbers in place for the next run. */
  begin({ text, numbers, seeds, given, words_BWT }: SamplingRun): void {
    this.takeText(text);
    if (given) this.takeGiven(given);
    if (words_BWT) writeSlice(this.watched!.words_BWT, words_BWT, { axis: 0, start: 0 });
    assign(this.seeds_B2, seedWords(seeds));
    for (const [scale, controls] of this.controls.entries()) controls.assign(numbers, scale);
  }

  private takeGiven(given: GivenTokens): void {
    scope(() =>
      noGrad(() => {
        for (const part of ['tokens_BL', 'weights_BL'] as const) {
          const target = this.given![part];
          writeSlice(target, contiguous(expand(given[part], target.shape)), { axis: 0, start: 0 });
        }
      }),
    );
  }

  private takeText({ conditional, unconditional }: GuidedText): void {
    const { B } = this.spec;
    scope(() =>
      noGrad(() => {
        for (const part of ['states', 'mask', 'pooled'] as const) {
          const target = this.text[part];
          writeSlice(target, conditional[part], { axis: 0, start: 0 });
          if (target.shape[0]! === B) continue;
          writeSlice(target, expand(unconditional[part], conditional[part].shape), { axis: 0, start: B });
        }
      }),
    );
  }

  /** Draws one scale, after all coarser ones of this run. Its tensors hold until the next run. */
  draw(scale: number): Drawn {
    const recorded = this.recorded(scale);
    recorded.run();
    return recorded.result;
  }

  /** What every scale will need, known without running any. */
  scaleSizes(): PlanSize[] {
    return this.models.star.config.patchNumbers.map((_, scale) => this.recorded(scale).size);
  }

  /** Memory that scales and decoder share, as far as they have been recorded. */
  get sharedBytes(): number {
    return this.arena.bytes;
  }

  /** Bytes of keys and values of tokens and text: a part of what the first scale will keep. */
  cacheBytes(): number {
    const { tokens, texts } = this.recorded(0).result.cache;
    const tensors = [...tokens, ...texts].flatMap(({ key, value }) => [key, value]);
    return tensors.reduce((sum, { size, dtype }) => sum + size * bytesPerElement[dtype], 0);
  }

  /** What decoding will need. */
  decoderSize(): PlanSize {
    return this.recordedDecoder().size;
  }

  /** The pictures of a latent map. */
  async decode(sum_BhwZ: Tensor): Promise<Pictures> {
    writeSlice(this.latent_BhwZ, sum_BhwZ, { axis: 0, start: 0 });
    const decoder = this.recordedDecoder();
    decoder.run();
    return toPictures(decoder.result);
  }

  /** Frees the memory of all scales. */
  dispose(): void {
    for (const recorded of [...this.scales, this.decoder]) recorded?.dispose();
    this.arena.dispose();
    const inputs = [...(Object.values(this.text) as Tensor[]), this.seeds_B2, this.latent_BhwZ];
    if (this.given) inputs.push(this.given.tokens_BL, this.given.weights_BL);
    if (this.watched) inputs.push(this.watched.words_BWT);
    for (const input of [...inputs, ...this.controls]) input.dispose();
  }

  private recorded(scale: number): Plan<Drawn> {
    const before = this.scales[scale - 1]?.result;
    return (this.scales[scale] ??= this.record(() => this.advance(scale, before)));
  }

  private recordedDecoder(): Plan<Tensor> {
    return (this.decoder ??= this.record(() => this.models.vqvae.decode(this.latent_BhwZ)));
  }

  private record<T>(run: () => T): Plan<T> {
    const precision = this.models.precision ?? currentPrecision();
    return plan(() => noGrad(() => withPrecision(precision, run)), { arena: this.arena });
  }

  /** Predicts, guides, filters and draws one scale: at once, or in steps. */
  private advance(scale: number, before: Drawn | undefined): Drawn {
    const { vqvae } = this.models;
    const { smooth, entropyTemperature, refine } = this.spec;
    const { cache, features_BlC, watched_BWl } = this.predict(scale, before);
    const numbers = { filter: this.controls[scale]!.filter, smooth, entropyTemperature, seed: this.seeds_B2 };
    const main = (): Tensor =>
      guide(this.models.star.logits(features_BlC), this.spec.B, this.controls[scale]!.guidance);
    const drawn = refine?.steps[scale]
      ? this.drawInSteps(scale, { refine, numbers, main, features_BlC, pooled_BD: cache.text.pooled })
      : draw(main(), vqvae.quantizer.codebook, { scale, scales: this.controls.length }, numbers);
    const { indices_Bl, codes_BlZ } = this.given ? this.keepGiven(this.given, drawn, scale) : drawn;
    const next = vqvae.quantizer.nextInput(scale, codes_BlZ, before?.sum_BhwZ, { latent: this.latent });
    return { cache, indices_Bl, ...(watched_BWl && { watched_BWl }), ...next };
  }

  /** Causal-driven stable sampling of one scale, beginning with the given tokens that stay. */
  private drawInSteps(scale: number, { refine, ...rest }: InSteps): DrawnTokens {
    const { star, vqvae } = this.models;
    const { codebook } = vqvae.quantizer;
    const given = this.given && this.givenAt(this.given, scale);
    const open = full([1, 1], codebook.shape[0]!, { dtype: 'u32' });
    return refineScale(this.spec.B, {
      ...rest,
      refiner: star.refiner!,
      version: refine.version,
      steps: refine.steps[scale]!,
      scale,
      latent: this.latent,
      codebook_VZ: codebook,
      guidance: this.controls[scale]!.refinedGuidance,
      ...(given && { given_Bl: where(given.stays_Bl, given.tokens_Bl, expand(open, given.tokens_Bl.shape)) }),
    });
  }

  /** What was drawn, with the given picture's tokens where they stay; codes are mixed where they stay in part. */
  private keepGiven(given: GivenTokens, drawn: DrawnTokens, scale: number): DrawnTokens {
    const { tokens_Bl, weights_Bl, stays_Bl } = this.givenAt(given, scale);
    const weights_Bl1 = reshape(weights_Bl, [...weights_Bl.shape, 1]);
    const kept_BlZ = embedding(this.models.vqvae.quantizer.codebook, contiguous(tokens_Bl));
    return {
      indices_Bl: where(stays_Bl, tokens_Bl, drawn.indices_Bl),
      codes_BlZ: add(mul(kept_BlZ, weights_Bl1), mul(drawn.codes_BlZ, sub(1, weights_Bl1))),
    };
  }

  /** Given tokens of one scale, their weights, and which of them stay. */
  private givenAt(
    given: GivenTokens,
    scale: number,
  ): Readonly<Record<'tokens_Bl' | 'weights_Bl' | 'stays_Bl', Tensor>> {
    const offsets = tokenOffsets(this.models.vqvae.config.patchNumbers, this.latent);
    const [start, end] = [offsets[scale]!, offsets[scale + 1]!];
    const weights_Bl = slice(given.weights_BL, 1, start, end);
    return { tokens_Bl: slice(given.tokens_BL, 1, start, end), weights_Bl, stays_Bl: greater(weights_Bl, 0.5) };
  }

  /** Features of one scale, and the cache that holds it; without the unconditional rows once no scale wants them any more. */
  private predict(scale: number, before: Drawn | undefined): Predicted {
    const { star } = this.models;
    const { B } = this.spec;
    const rows = rowsAt(this.spec, scale);
    const cache = firstRows(before?.cache ?? star.startCache(this.text, this.latent), rows);
    const next = before?.next_BlZ;
    const input_BlZ = next && (rows > B ? concat([next, next], 0) : next);
    const { features_BlC, watched_BlW } = star.stepFeatures(cache, scale, { input_BlZ, watched: this.watched });
    return { cache, features_BlC, ...(watched_BlW && { watched_BWl: contiguous(permute(watched_BlW, [0, 2, 1])) }) };
  }
}

/** What the transformer says of a scale. */
type Predicted = Pick<Drawn, 'cache' | 'watched_BWl'> & { readonly features_BlC: Tensor };

/** Rows that the transformer computes at a scale: those of the prompts, and as many unconditional ones while guidance goes on. */
const rowsAt = ({ B, guidedScales }: SamplingSpec, scale: number): number => (scale < guidedScales ? 2 * B : B);

/** Idle plans that are kept for the next pictures of their kind. */
const idlePlans = 2;

/** Plans between their uses; each serves one sampling at a time. */
export class SamplingPlans {
  private readonly idle = new Map<SamplingPlan, string>();
  private closed = false;

  /** An idle plan for these numbers, or a new one. */
  take(models: Models, spec: SamplingSpec): SamplingPlan {
    const key = JSON.stringify(spec);
    const found = [...this.idle].findLast(([, known]) => known === key)?.[0];
    if (found) this.idle.delete(found);
    return found ?? new SamplingPlan(models, spec);
  }

  /** Keeps a plan for later; the one that was idle longest goes. */
  giveBack(used: SamplingPlan): void {
    this.idle.set(used, JSON.stringify(used.spec));
    while (this.idle.size > (this.closed ? 0 : idlePlans)) {
      const oldest = this.idle.keys().next().value!;
      this.idle.delete(oldest);
      oldest.dispose();
    }
  }

  /** Frees all idle plans, and others as they come back. */
  dispose(): void {
    this.closed = true;
    for (const kept of this.idle.keys()) kept.dispose();
    this.idle.clear();
  }
}

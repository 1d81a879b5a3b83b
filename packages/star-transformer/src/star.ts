import {
  add,
  cast,
  checkpoint,
  concat,
  currentPrecision,
  embedding,
  empty,
  hostRandom,
  initZeros,
  layerNorm,
  type LinearCrossEntropy,
  linearCrossEntropy,
  Linear,
  Module,
  reshape,
  type Seed,
  slice,
  type Tensor,
  trainableTensors,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import { latentSize, type MapSize, tokenCount, tokenMaps, tokenOffsets } from '@star-webgpu/vqvae/scales';
import type { Positions } from './attention.ts';
import { Block } from './block.ts';
import { normEpsilon, type StarConfig } from './config.ts';
import { starInit } from './init.ts';
import type { KvCache } from './kv-cache.ts';
import { Refiner } from './refiner.ts';
import { ropeTable } from './rope.ts';
import { type TokenChoice, type TokenTables, tokenTables } from './tables.ts';
import { AttentionWatch, type WatchedText } from './watch.ts';

/** The stream that blocks add to is f32, whatever parameters and products are: its first sum makes it so. */
const wide = (x: Tensor): Tensor => cast(x, 'f32');

/** What a forward pass of the transformer reads. */
export interface StarInput {
  /**
   * The quantiser's teacher-forcing input: tokens of scales 1..S-1. [B, L-1, Z]. Fewer of them, [B, l-1, Z], stand for the first l tokens,
   * as if there were no others; nothing at all for the first.
   */
  readonly input_BlZ?: Tensor | undefined;
  /** Places of all l tokens among those of all scales, where some of the last scale are left out. u32 [l]. */
  readonly places_l?: Tensor | undefined;
  readonly text: TextFeatures;
  /** Size of the latent maps, whose scales have that many tokens; square if not given. */
  readonly latent?: MapSize;
  /** Drops branches at the config's rate, from this seed; absent outside training. */
  readonly dropPathSeed?: Seed | undefined;
  /** Keeps what blocks begin with and nothing inside them: the backward pass computes it again, to the same numbers. */
  readonly recompute?: boolean | undefined;
}

/** What a step of sampling is given and gives beside its logits. */
export interface StepInput {
  /** The quantiser's next input, [B, l, Z]; nothing at the first scale. */
  readonly input_BlZ?: Tensor | undefined;
  /** Asks for the share of the cross-attention that words of the text get. */
  readonly watched?: WatchedText | undefined;
}

/** What a scale leaves before the head. */
export interface StepFeatures {
  /** Last hidden states. [B, l, C]. */
  readonly features_BlC: Tensor;
  /** [B, l, W], where words are watched. */
  readonly watched_BlW?: Tensor;
}

export interface StepResult extends StepFeatures {
  /** [B, l, V]. */
  readonly logits_BlV: Tensor;
}

/** The scale-wise transformer: predicts all tokens of each scale from all coarser scales and the text. */
export class Star extends Module {
  readonly config: StarConfig;
  /** Present where the config asks for it. */
  readonly refiner: Refiner | undefined;
  private readonly start: Tensor;
  private readonly wordEmbed: Linear;
  private readonly textProject: Linear;
  private readonly scaleEmbed: Tensor;
  private readonly blocks: readonly Block[];
  private readonly head: Linear;
  /** Of square latent maps. */
  private readonly square: TokenTables;

  /** Builds the model with initial weights that depend on the seed only. */
  constructor(config: StarConfig, { seed = 0 }: { readonly seed?: number } = {}) {
    super();
    this.config = config;
    const { width, textWidth, codeWidth, codebookSize, patchNumbers, depth } = config;
    const init = starInit(config, hostRandom(seed));
    this.start = this.parameter('pos_start', [1, 1, width], init.weight);
    this.wordEmbed = this.child('word_embed', new Linear({ in: codeWidth, out: width, init: init.weight }));
    this.textProject = this.child('encoder_proj', new Linear({ in: textWidth, out: width, init: init.weight }));
    this.scaleEmbed = this.parameter('lvl_embed.weight', [patchNumbers.length, width], init.weight);
    this.blocks = Array.from({ length: depth }, (_, i) => this.child(`blocks.${i}`, new Block(config, init)));
    this.head = this.child(
      'head_logits',
      new Linear({ in: width, out: codebookSize, init: init.head, biasInit: initZeros }),
    );
    // A stream of its own: the other weights do not depend on whether there is a refiner.
    if (config.refiner) this.refiner = this.child('', new Refiner(config, config.refiner, hostRandom(seed, 1)));
    this.square = tokenTables(config, latentSize(patchNumbers));
    for (const table of Object.values(this.square) as Tensor[]) table.keep();
  }

  /** Logits of every token of every scale, under the block-causal mask. -> [B, L, V]. */
  forward(input: StarInput): Tensor {
    return this.logits(this.features(input));
  }

  /** Last hidden states of every token. -> [B, L, C]. */
  features({ input_BlZ, places_l, text, latent, dropPathSeed, recompute }: StarInput): Tensor {
    const { scales_L, ...positions } = this.tables(latent, { count: 1 + (input_BlZ?.shape[1] ?? 0), places_l });
    const start_B1C = this.firstToken(text);
    const tokens_BLC = input_BlZ ? concat([start_B1C, this.wordEmbed.forward(input_BlZ)], 1) : start_B1C;
    const first_BLC = add(tokens_BLC, wide(embedding(this.scaleEmbed, scales_L)));
    return this.blocks.reduce((x_BLC, block, i) => {
      const drop =
        dropPathSeed === undefined ? undefined : { rate: this.dropRate(i), seed: dropPathSeed, stream: 2 * i };
      const run = (x: Tensor, states_BTD: Tensor): Tensor =>
        block.forward(x, { positions, text: block.text(states_BTD, text.mask), ...(drop && { drop }) });
      if (!recompute) return run(x_BLC, text.states);
      return checkpoint(run as (...inputs: Tensor[]) => Tensor, [x_BLC, text.states], trainableTensors(block));
    }, first_BLC);
  }

  /** Logits from features, in f32 whatever the precision in force. [B, l, C] -> [B, l, V]. */
  logits(features_BlC: Tensor): Tensor {
    return withPrecision('f32', () => this.head.forward(layerNorm(cast(features_BlC, 'f32'), { eps: normEpsilon })));
  }

  /**
   * Cross-entropy of the tokens that follow from features, in f32, without holding all logits. features: [B, L, C], targets: u32 [B, L].
   */
  loss(features_BLC: Tensor, targets_BL: Tensor, labelSmoothing = 0): LinearCrossEntropy {
    const { weight, bias } = this.head;
    const targets = reshape(targets_BL, [targets_BL.size]);
    const rows = reshape(layerNorm(cast(features_BLC, 'f32'), { eps: normEpsilon }), [targets.size, this.config.width]);
    return withPrecision('f32', () => linearCrossEntropy(rows, weight, { bias, targets, labelSmoothing }));
  }

  /** Keys and values of the text for every block, and room for those of all tokens of latent maps of a size, square if not given. */
  startCache(text: TextFeatures, latent: MapSize = latentSize(this.config.patchNumbers)): KvCache {
    const { width, heads, patchNumbers } = this.config;
    const shape = [text.pooled.shape[0]!, tokenCount(patchNumbers, latent), heads, width / heads];
    // Keys and values come out of products, in the type that these have.
    const type = currentPrecision();
    return {
      latent,
      text,
      texts: this.blocks.map((block) => block.text(text.states, text.mask)),
      tokens: this.blocks.map(() => ({ key: empty(shape, type), value: empty(shape, type) })),
    };
  }

  /** One scale of sampling, after all coarser ones; the cache takes it in. */
  step(cache: KvCache, scale: number, input: StepInput = {}): StepResult {
    const step = this.stepFeatures(cache, scale, input);
    return { logits_BlV: this.logits(step.features_BlC), ...step };
  }

  /** The same without logits, for a sampler that may not want them. */
  stepFeatures(cache: KvCache, scale: number, { input_BlZ, watched }: StepInput = {}): StepFeatures {
    const tokens_BlC = input_BlZ ? this.wordEmbed.forward(input_BlZ) : this.firstToken(cache.text);
    const first_BlC = add(tokens_BlC, wide(slice(this.scaleEmbed, 0, scale, scale + 1)));
    const positions = this.positionsOf(scale, cache.latent);
    const start = tokenOffsets(this.config.patchNumbers, cache.latent)[scale]!;
    const watch = watched && new AttentionWatch(watched, this.config);
    const features_BlC = this.blocks.reduce((x_BlC, block, i) => {
      const context = { positions, text: cache.texts[i]!, cache: { ...cache.tokens[i]!, start } };
      return block.forward(x_BlC, { ...context, ...(watch && { watch: (compared) => watch.look(i, compared) }) });
    }, first_BlC);
    return { features_BlC, ...(watch && { watched_BlW: watch.mean() }) };
  }

  override dispose(): void {
    super.dispose();
    for (const table of Object.values(this.square) as Tensor[]) table.dispose();
  }

  /** Token 0: the pooled text. [B, 1, C]. */
  private firstToken({ pooled }: TextFeatures): Tensor {
    const projected_BC = this.textProject.forward(pooled);
    return add(reshape(projected_BC, [pooled.shape[0]!, 1, this.config.width]), this.start);
  }

  /** Rotations of one scale's tokens. */
  private positionsOf(scale: number, latent: MapSize): Positions {
    const { patchNumbers, width, heads } = this.config;
    if (!this.isSquare(latent))
      return { rope_ld2: ropeTable([tokenMaps(patchNumbers, latent)[scale]!], width / heads) };
    const offsets = tokenOffsets(patchNumbers);
    return { rope_ld2: slice(this.square.rope_ld2, 0, offsets[scale]!, offsets[scale + 1]!) };
  }

  /** Tables of anything but all tokens of square maps are made where they are used: once in a plan. */
  private tables(latent: MapSize | undefined, choice: TokenChoice): TokenTables {
    const { patchNumbers } = this.config;
    const size = latent ?? latentSize(patchNumbers);
    const all = choice.count === tokenCount(patchNumbers, size);
    return all && this.isSquare(size) ? this.square : tokenTables(this.config, size, choice);
  }

  private isSquare({ height, width }: MapSize): boolean {
    const square = latentSize(this.config.patchNumbers);
    return height === square.height && width === square.width;
  }

  /** Grows linearly over depth up to the config's rate. */
  private dropRate(block: number): number {
    const { depth, dropPath } = this.config;
    return depth > 1 ? (dropPath * block) / (depth - 1) : dropPath;
  }
}

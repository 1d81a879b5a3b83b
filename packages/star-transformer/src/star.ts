import {
  add,
  cast,
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
  tensor,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import type { TextFeatures } from '@star-webgpu/text-encoder';
import { tokenOffsets, tokenScales } from '@star-webgpu/vqvae/scales';
import type { Positions } from './attention.ts';
import { Block } from './block.ts';
import { normEpsilon, type StarConfig } from './config.ts';
import { starInit } from './init.ts';
import type { KvCache } from './kv-cache.ts';
import { blockCausalLimits } from './mask.ts';
import { ropeTable } from './rope.ts';

export interface StarInput {
  /** The quantiser's teacher-forcing input: tokens of scales 1..S-1. [B, L-1, Z]. */
  readonly input_BlZ: Tensor;
  readonly text: TextFeatures;
  /** Drops branches at the config's rate, from this seed; absent outside training. */
  readonly dropPathSeed?: Seed;
}

/** The scale-wise transformer: predicts all tokens of each scale from all coarser scales and the text. */
export class Star extends Module {
  readonly config: StarConfig;
  private readonly start: Tensor;
  private readonly wordEmbed: Linear;
  private readonly textProject: Linear;
  private readonly scaleEmbed: Tensor;
  private readonly blocks: readonly Block[];
  private readonly head: Linear;
  private readonly rope_Ld2: Tensor;
  private readonly limits_L: Tensor;
  private readonly scales_L: Tensor;

  /** Builds the model with initial weights that depend on the seed only. */
  constructor(config: StarConfig, { seed = 0 }: { readonly seed?: number } = {}) {
    super();
    this.config = config;
    const { width, heads, textWidth, codeWidth, codebookSize, patchNumbers, depth } = config;
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
    this.rope_Ld2 = ropeTable(patchNumbers, width / heads).keep();
    this.limits_L = blockCausalLimits(patchNumbers).keep();
    const scales = tokenScales(patchNumbers);
    this.scales_L = tensor(scales, [scales.length], { dtype: 'u32' }).keep();
  }

  /** Logits of every token of every scale, under the block-causal mask. -> [B, L, V]. */
  forward(input: StarInput): Tensor {
    return this.logits(this.features(input));
  }

  /** Last hidden states of every token. -> [B, L, C]. */
  features({ input_BlZ, text, dropPathSeed }: StarInput): Tensor {
    const positions = { rope_ld2: this.rope_Ld2, limits_L: this.limits_L };
    const tokens_BLC = concat([this.firstToken(text), this.wordEmbed.forward(input_BlZ)], 1);
    const first_BLC = add(tokens_BLC, embedding(this.scaleEmbed, this.scales_L));
    return this.blocks.reduce((x_BLC, block, i) => {
      const drop =
        dropPathSeed === undefined ? undefined : { rate: this.dropRate(i), seed: dropPathSeed, stream: 2 * i };
      return block.forward(x_BLC, { positions, text: block.text(text.states, text.mask), ...(drop && { drop }) });
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

  /** Keys and values of the text for every block, and room for those of all tokens. */
  startCache(text: TextFeatures): KvCache {
    const { width, heads, patchNumbers } = this.config;
    const shape = [text.pooled.shape[0]!, tokenOffsets(patchNumbers).at(-1)!, heads, width / heads];
    // Keys and values come out of products, in the type that these have.
    const type = currentPrecision();
    return {
      text,
      texts: this.blocks.map((block) => block.text(text.states, text.mask)),
      tokens: this.blocks.map(() => ({ key: empty(shape, type), value: empty(shape, type) })),
    };
  }

  /**
   * One scale of sampling, after all coarser ones; the cache takes it in. input: [B, l, Z], the quantiser's next input, and nothing at
   * the first scale. -> logits [B, l, V], features [B, l, C].
   */
  step(cache: KvCache, scale: number, input_BlZ?: Tensor): { logits_BlV: Tensor; features_BlC: Tensor } {
    const tokens_BlC = input_BlZ ? this.wordEmbed.forward(input_BlZ) : this.firstToken(cache.text);
    const first_BlC = add(tokens_BlC, slice(this.scaleEmbed, 0, scale, scale + 1));
    const positions = this.positionsOf(scale);
    const start = tokenOffsets(this.config.patchNumbers)[scale]!;
    const features_BlC = this.blocks.reduce(
      (x_BlC, block, i) =>
        block.forward(x_BlC, { positions, text: cache.texts[i]!, cache: { ...cache.tokens[i]!, start } }),
      first_BlC,
    );
    return { logits_BlV: this.logits(features_BlC), features_BlC };
  }

  override dispose(): void {
    super.dispose();
    for (const table of [this.rope_Ld2, this.limits_L, this.scales_L]) table.dispose();
  }

  /** Token 0: the pooled text. [B, 1, C]. */
  private firstToken({ pooled }: TextFeatures): Tensor {
    const projected_BC = this.textProject.forward(pooled);
    return add(reshape(projected_BC, [pooled.shape[0]!, 1, this.config.width]), this.start);
  }

  /** Rotations of one scale's tokens. */
  private positionsOf(scale: number): Positions {
    const offsets = tokenOffsets(this.config.patchNumbers);
    return { rope_ld2: slice(this.rope_Ld2, 0, offsets[scale]!, offsets[scale + 1]!) };
  }

  /** Grows linearly over depth up to the config's rate. */
  private dropRate(block: number): number {
    const { depth, dropPath } = this.config;
    return depth > 1 ? (dropPath * block) / (depth - 1) : dropPath;
  }
}

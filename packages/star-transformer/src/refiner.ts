import {
  add,
  cast,
  concat,
  div,
  embedding,
  equal,
  type HostRandom,
  initZeros,
  layerNorm,
  Linear,
  linearCrossEntropy,
  maximum,
  Module,
  mul,
  noGrad,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
  tensor,
  withPrecision,
  zeros,
} from '@star-webgpu/tensor-webgpu';
import { type MapSize, tokenCount, tokenMaps, tokenOffsets } from '@star-webgpu/vqvae/scales';
import { type Positions, SelfAttention } from './attention.ts';
import { FeedForward } from './block.ts';
import { normEpsilon, type RefinerConfig, type StarConfig } from './config.ts';
import { starInit, type StarInit } from './init.ts';
import { segmentRanges } from './mask.ts';
import { ropeTable } from './rope.ts';

/** What the refiner knows of tokens before any of them is fixed. */
export interface RefinerContext {
  /** Last hidden states of the main transformer: of one scale, or of all from the first refined one on. [B, l, C]. */
  readonly features_BlC: Tensor;
  /** Pooled text. [B, D]. */
  readonly pooled_BD: Tensor;
  /** Size of the latent maps, whose scales have that many tokens; square if not given. */
  readonly latent?: MapSize;
}

/** The code vectors that a refiner is given, by token: the codebook, and zeros for V, an open token. [V, Z] -> [V + 1, Z]. */
export const openCodes = (codebook_VZ: Tensor): Tensor =>
  concat([codebook_VZ, zeros([1, codebook_VZ.shape[1]!], { dtype: codebook_VZ.dtype })], 0);

/** What stays the same while tokens are fixed, step after step. */
export interface RefinerState {
  /** The leading token. [B, 1, C]. */
  readonly text_B1C: Tensor;
  /** The leading token and the main transformer's features. [B, 1 + l, C]. */
  readonly main_BlC: Tensor;
  /** Embedding of the scale, or of the scale of each token. [1, C] or [l, C]. */
  readonly level: Tensor;
  /** Of the leading token and the others. */
  readonly positions: Positions;
}

/** Result of `Refiner.loss`. */
export interface RefinerLoss {
  /** What is minimised, f32 []. */
  readonly loss: Tensor;
  /** Mean cross-entropy of the open tokens alone, f32 []; no gradient. */
  readonly openCost: Tensor;
  /** Share of the open tokens whose likeliest code is the right one, f32 []; no gradient. */
  readonly accuracy: Tensor;
}

/** x += self(LN(x)); x += ffn(LN(x)). x: [B, l, C] -> [B, l, C]. */
class FeatureBlock extends Module {
  private readonly attn: SelfAttention;
  private readonly ffn: FeedForward;

  constructor(config: StarConfig, init: StarInit) {
    super();
    this.attn = this.child('attn', new SelfAttention(config, init));
    this.ffn = this.child('ffn', new FeedForward(config, init));
  }

  forward(x_BlC: Tensor, positions: Positions): Tensor {
    const norm = (x: Tensor): Tensor => layerNorm(x, { eps: normEpsilon });
    const x = this.attn.forward(norm(x_BlC), positions, { finish: { residual: x_BlC } });
    return this.ffn.forward(norm(x), { residual: x });
  }
}

/** Logit of the extra class for a token that is fixed: it costs next to nothing, and nothing can be learnt from it. */
const fixedLogit = 10;

/**
 * Predicts the tokens of a scale from the main transformer's features, from the text and from those tokens that are fixed already
 * (STAR, section 3.4). Attention is full inside a scale; one leading token is the text.
 */
export class Refiner extends Module {
  readonly config: RefinerConfig;
  private readonly start: Tensor;
  private readonly wordEmbed: Linear;
  private readonly scaleEmbed: Tensor;
  private readonly textProject: Linear;
  private readonly headProject: Linear;
  private readonly blocks: readonly FeatureBlock[];
  private readonly head: Linear;
  private readonly star: StarConfig;

  /** Weights take their published names beside those of the transformer. */
  constructor(star: StarConfig, config: RefinerConfig, random: HostRandom) {
    super();
    this.config = config;
    this.star = star;
    const { width, textWidth, codeWidth, codebookSize, patchNumbers } = star;
    const init = starInit({ width, depth: config.depth }, random);
    const linear = (inner: number, out: number): Linear => new Linear({ in: inner, out, init: init.weight });
    this.start = this.parameter('pos_start_last', [1, 1, width], init.weight);
    this.scaleEmbed = this.parameter('lvl_embed_2.weight', [patchNumbers.length, width], init.weight);
    this.wordEmbed = this.child('word_embed_head', linear(codeWidth, width));
    this.textProject = this.child('encoder_proj2', linear(textWidth, width));
    this.headProject = this.child('head_proj', linear(2 * width, width));
    this.blocks = Array.from({ length: config.depth }, (_, i) =>
      this.child(`feat_extract_blocks.${i}`, new FeatureBlock(star, init)),
    );
    this.head = this.child(
      'head_logits2',
      new Linear({ in: width, out: codebookSize, init: init.head, biasInit: initZeros }),
    );
  }

  /** First token that the refiner predicts, in the sequence of all scales. */
  firstToken(latent?: MapSize): number {
    return tokenOffsets(this.star.patchNumbers, latent)[this.config.sampleFrom]!;
  }

  /** Begins one scale: its features -> what its steps share. */
  begin(scale: number, context: RefinerContext): RefinerState {
    const map = tokenMaps(this.star.patchNumbers, context.latent)[scale]!;
    return this.prepare(context, slice(this.scaleEmbed, 0, scale, scale + 1), { rope_ld2: this.rope([map]) });
  }

  /** Begins all scales from the first refined one on, each apart from the others: training. */
  beginAll(context: RefinerContext): RefinerState {
    const maps = tokenMaps(this.star.patchNumbers, context.latent).slice(this.config.sampleFrom);
    const scales = maps.flatMap(({ height, width }, i) =>
      new Array<number>(height * width).fill(this.config.sampleFrom + i),
    );
    const positions = { rope_ld2: this.rope(maps), ranges_L2: segmentRanges(maps) };
    return this.prepare(
      context,
      embedding(this.scaleEmbed, tensor(scales, [scales.length], { dtype: 'u32' })),
      positions,
    );
  }

  /** Hidden states, given the code vectors of the tokens that are fixed and zeros for the open ones. codes: [B, l, Z] -> [B, l, C]. */
  features({ text_B1C, main_BlC, level, positions }: RefinerState, codes_BlZ: Tensor): Tensor {
    const stream = (x: Tensor): Tensor => cast(x, main_BlC.dtype);
    const own_BlC = concat([text_B1C, stream(add(this.wordEmbed.forward(codes_BlZ), level))], 1);
    const first_BlC = stream(this.headProject.forward(concat([own_BlC, main_BlC], 2)));
    const last_BlC = this.blocks.reduce((x_BlC, block) => block.forward(x_BlC, positions), first_BlC);
    return slice(last_BlC, 1, 1, last_BlC.shape[1]!);
  }

  /** Logits from hidden states, in f32 whatever the precision in force. [B, l, C] -> [B, l, V]. */
  logits(hidden_BlC: Tensor): Tensor {
    return withPrecision('f32', () => this.head.forward(layerNorm(cast(hidden_BlC, 'f32'), { eps: normEpsilon })));
  }

  /**
   * Cross-entropy of hidden states, in f32, without holding all logits: every token weighs 1/L, L counting the tokens of all scales;
   * mean over the batch. targets: u32 [B, l], the code of an open token, and V for a fixed one.
   * As published, there is a class V beside the codes, of logit 0 for open tokens; a fixed token has it for its target, with logit 10
   * beside zeros. That cost does not depend on the weights.
   */
  loss(hidden_BlC: Tensor, targets_Bl: Tensor, latent?: MapSize): RefinerLoss {
    const [l, L] = [targets_Bl.shape[1]!, tokenCount(this.star.patchNumbers, latent)];
    const { weight, bias } = this.head;
    const [V, C] = weight.shape as [number, number];
    const targets = reshape(targets_Bl, [targets_Bl.size]);
    const rows = reshape(layerNorm(cast(hidden_BlC, 'f32'), { eps: normEpsilon }), [targets.size, C]);
    const { loss, losses, hits } = withPrecision('f32', () =>
      linearCrossEntropy(rows, concat([weight, zeros([1, C])], 0), {
        bias: concat([bias!, zeros([1])], 0),
        targets,
        ignoreIndex: V,
      }),
    );
    const fixedCost = Math.log(V + Math.exp(fixedLogit)) - fixedLogit;
    const { fixed, openCost, accuracy } = noGrad(() => {
      const fixed = sum(cast(equal(targets, V), 'f32'));
      const overOpen = (x: Tensor): Tensor => div(sum(x), maximum(sub(targets.size, fixed), 1));
      return { fixed, openCost: overOpen(losses), accuracy: overOpen(hits) };
    });
    return { loss: mul(add(loss, mul(fixed, fixedCost / targets.size)), l / L), openCost, accuracy };
  }

  private prepare({ features_BlC, pooled_BD }: RefinerContext, level: Tensor, positions: Positions): RefinerState {
    const [B, , C] = features_BlC.shape as [number, number, number];
    const projected_B1C = add(reshape(this.textProject.forward(pooled_BD), [B, 1, C]), this.start);
    const text_B1C = cast(projected_B1C, features_BlC.dtype);
    return { text_B1C, main_BlC: concat([text_B1C, features_BlC], 1), level, positions };
  }

  /** Rotations of token 0 and of some token maps. */
  private rope(maps: readonly MapSize[]): Tensor {
    return ropeTable([{ height: 1, width: 1 }, ...maps], this.star.width / this.star.heads);
  }
}

import {
  add,
  cast,
  Embedding,
  type Init,
  initZeros,
  Linear,
  matmul,
  mean,
  Module,
  mul,
  permute,
  reshape,
  softmax,
  sub,
  type Tensor,
  tensor,
  withPrecision,
} from '@star-webgpu/tensor-webgpu';
import type { TextFeatures } from './features.ts';
import { RmsNorm } from './rms-norm.ts';
import type { T5Config } from './t5-config.ts';

/** The class of each pair of tokens by how far the key is from the query: exact when near, by logarithms when far. -> T * T classes, row-major. */
export function relativeBuckets(
  T: number,
  { buckets, farthest }: Pick<T5Config, 'buckets' | 'farthest'>,
): Uint32Array<ArrayBuffer> {
  const half = buckets / 2;
  const exact = half / 2;
  const bucketOf = (distance: number): number => {
    if (distance < exact) return distance;
    // The tiny share keeps whole logarithms, such as that of 64, on their own side of the rounding.
    const far = (Math.log(distance / exact) / Math.log(farthest / exact)) * (half - exact) + 1e-6;
    return Math.min(half - 1, exact + Math.floor(far));
  };
  return Uint32Array.from({ length: T * T }, (_, i) => {
    const ahead = (i % T) - Math.floor(i / T);
    return (ahead > 0 ? half : 0) + bucketOf(Math.abs(ahead));
  });
}

/** Attention among all tokens of a prompt, without scaling. x: [B, T, D], bias: [B or 1, N, T, T] -> the residual sum [B, T, D]. */
class SelfAttention extends Module {
  private readonly heads: number;
  private readonly query: Linear;
  private readonly key: Linear;
  private readonly value: Linear;
  private readonly project: Linear;

  constructor({ width, heads, headWidth }: T5Config) {
    super();
    const into = { in: width, out: heads * headWidth, ...plain };
    this.heads = heads;
    this.query = this.child('q', new Linear(into));
    this.key = this.child('k', new Linear(into));
    this.value = this.child('v', new Linear(into));
    this.project = this.child('o', new Linear({ in: heads * headWidth, out: width, ...plain }));
  }

  forward(x_BTD: Tensor, bias: Tensor, residual_BTD: Tensor): Tensor {
    const [B, T] = x_BTD.shape as [number, number];
    const [q_BNTd, k_BNTd, v_BNTd] = [this.query, this.key, this.value].map((layer) =>
      permute(reshape(layer.forward(x_BTD), [B, T, this.heads, -1]), [0, 2, 1, 3]),
    ) as [Tensor, Tensor, Tensor];
    const scores_BNTT = add(matmul(q_BNTd, k_BNTd, { transposeB: true }), bias);
    const mixed_BTNd = permute(matmul(softmax(scores_BNTT), v_BNTd), [0, 2, 1, 3]);
    return this.project.forward(reshape(mixed_BTNd, [B, T, -1]), { residual: residual_BTD });
  }
}

/** wo(gelu(wi_0(x)) * wi_1(x)) (Shazeer, 2020). x: [B, T, D] -> the residual sum [B, T, D]. */
class FeedForward extends Module {
  private readonly gate: Linear;
  private readonly widen: Linear;
  private readonly narrow: Linear;

  constructor({ width, mlpWidth }: T5Config) {
    super();
    this.gate = this.child('wi_0', new Linear({ in: width, out: mlpWidth, ...plain }));
    this.widen = this.child('wi_1', new Linear({ in: width, out: mlpWidth, ...plain }));
    this.narrow = this.child('wo', new Linear({ in: mlpWidth, out: width, ...plain }));
  }

  forward(x_BTD: Tensor, residual_BTD: Tensor): Tensor {
    const hidden = mul(this.gate.forward(x_BTD, { activation: 'gelu' }), this.widen.forward(x_BTD));
    return this.narrow.forward(hidden, { residual: residual_BTD });
  }
}

/** x += attention(RMS(x)); x += ffn(RMS(x)). x: [B, T, D] -> [B, T, D]. */
class Block extends Module {
  private readonly mixNorm: RmsNorm;
  private readonly mix: SelfAttention;
  private readonly feedNorm: RmsNorm;
  private readonly feed: FeedForward;

  constructor(config: T5Config) {
    super();
    const norm = { width: config.width, eps: config.normEpsilon };
    this.mix = this.child('layer.0.SelfAttention', new SelfAttention(config));
    this.mixNorm = this.child('layer.0.layer_norm', new RmsNorm(norm));
    this.feed = this.child('layer.1.DenseReluDense', new FeedForward(config));
    this.feedNorm = this.child('layer.1.layer_norm', new RmsNorm(norm));
  }

  forward(x_BTD: Tensor, bias: Tensor): Tensor {
    const x = this.mix.forward(this.mixNorm.forward(x_BTD), bias, x_BTD);
    return this.feed.forward(this.feedNorm.forward(x), x);
  }
}

const plain = { bias: false, init: initZeros as Init } as const;

/** The encoder of T5 v1.1 and flan-T5 (Raffel et al., 2020) with Hugging Face's parameter names. */
export class T5Text extends Module {
  readonly config: T5Config;
  private readonly tokens: Embedding;
  private readonly distances: Embedding;
  private readonly blocks: readonly Block[];
  private readonly norm: RmsNorm;

  /** Weights are zero until they are loaded. */
  constructor(config: T5Config) {
    super();
    const { vocabSize, width, heads, buckets } = config;
    this.config = config;
    this.tokens = this.child('shared', new Embedding({ count: vocabSize, width, init: initZeros }));
    this.distances = this.child(
      'encoder.block.0.layer.0.SelfAttention.relative_attention_bias',
      new Embedding({ count: buckets, width: heads, init: initZeros }),
    );
    this.blocks = Array.from({ length: config.layers }, (_, i) => this.child(`encoder.block.${i}`, new Block(config)));
    this.norm = this.child('encoder.final_layer_norm', new RmsNorm({ width, eps: config.normEpsilon }));
  }

  /**
   * States of token ids, pooled as the mean over all positions, padding too. ids, mask: u32 [B, T], mask 1 = real; any T.
   * Always in f32, whatever the weights are: the published ones give hidden values that half floats do not hold.
   */
  forward(ids_BT: Tensor, mask_BT: Tensor): TextFeatures {
    return withPrecision('f32', () => this.features(ids_BT, mask_BT));
  }

  private features(ids_BT: Tensor, mask_BT: Tensor): TextFeatures {
    const bias = add(this.distanceBias(ids_BT.shape[1]!), hidden(mask_BT));
    const first_BTD = cast(this.tokens.forward(ids_BT), 'f32');
    const last_BTD = this.blocks.reduce((x, block) => block.forward(x, bias), first_BTD);
    const states_BTD = this.norm.forward(last_BTD);
    return { states: states_BTD, mask: mask_BT, pooled: mean(states_BTD, { axis: 1 }) };
  }

  /** What each head adds to a score for the distance of the two tokens; all blocks share it. -> [N, T, T] */
  private distanceBias(T: number): Tensor {
    const classes_TT = tensor(relativeBuckets(T, this.config), [T, T], { dtype: 'u32' });
    return permute(this.distances.forward(classes_TT), [2, 0, 1]);
  }
}

/** Far below every score where a key is padding. mask: [B, T] -> [B, 1, 1, T] */
function hidden(mask_BT: Tensor): Tensor {
  const [B, T] = mask_BT.shape as [number, number];
  return mul(sub(cast(reshape(mask_BT, [B, 1, 1, T]), 'f32'), 1), 1e30);
}

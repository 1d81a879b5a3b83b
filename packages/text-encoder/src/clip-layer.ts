import { add, attention, geluErf, Linear, Module, quickGelu, reshape, type Tensor } from '@star-webgpu/tensor-webgpu';
import type { TextConfig } from './config.ts';
import { type TextInit, zeroTextInit } from './init.ts';
import { LayerNorm } from './layer-norm.ts';

/** Sizes of a layer; both towers of CLIP are built of such. */
export type ClipLayerConfig = Pick<TextConfig, 'width' | 'heads' | 'mlpWidth' | 'activation' | 'normEpsilon'>;

/** What a token may see; all tokens where nothing is said. */
export interface Visible {
  /** u32 [T]: token t sees those before limits[t]. */
  readonly limits_T?: Tensor;
  /** u32 [B, T]: padding is 0. */
  readonly mask_BT?: Tensor;
}

/** Attention among the visible tokens. x: [B, T, D] -> [B, T, D]. */
class SelfAttention extends Module {
  private readonly heads: number;
  private readonly query: Linear;
  private readonly key: Linear;
  private readonly value: Linear;
  private readonly project: Linear;

  constructor({ width, heads }: ClipLayerConfig, init: TextInit) {
    super();
    const sides = { in: width, out: width };
    this.heads = heads;
    this.query = this.child('q_proj', new Linear({ ...sides, init: init.mix }));
    this.key = this.child('k_proj', new Linear({ ...sides, init: init.mix }));
    this.value = this.child('v_proj', new Linear({ ...sides, init: init.mix }));
    this.project = this.child('out_proj', new Linear({ ...sides, init: init.mixEnd }));
  }

  forward(x_BTD: Tensor, { limits_T, mask_BT }: Visible): Tensor {
    const [B, T, D] = x_BTD.shape as [number, number, number];
    const d = D / this.heads;
    const [q_BTNd, k_BTNd, v_BTNd] = [this.query, this.key, this.value].map((layer) =>
      reshape(layer.forward(x_BTD), [B, T, this.heads, d]),
    ) as [Tensor, Tensor, Tensor];
    const mixed_BTNd = attention(q_BTNd, k_BTNd, v_BTNd, {
      scale: d ** -0.5,
      ...(limits_T && { limits: limits_T }),
      ...(mask_BT && { keyMask: mask_BT }),
    });
    return this.project.forward(reshape(mixed_BTNd, [B, T, D]));
  }
}

/** fc2(activation(fc1(x))). x: [B, T, D] -> [B, T, D]. */
class FeedForward extends Module {
  private readonly fc1: Linear;
  private readonly fc2: Linear;
  private readonly activate: (x: Tensor) => Tensor;

  constructor({ width, mlpWidth, activation }: ClipLayerConfig, init: TextInit) {
    super();
    this.fc1 = this.child('fc1', new Linear({ in: width, out: mlpWidth, init: init.widen }));
    this.fc2 = this.child('fc2', new Linear({ in: mlpWidth, out: width, init: init.widenEnd }));
    this.activate = activation === 'gelu' ? geluErf : quickGelu;
  }

  forward(x_BTD: Tensor): Tensor {
    return this.fc2.forward(this.activate(this.fc1.forward(x_BTD)));
  }
}

/** x += attention(LN(x)); x += ffn(LN(x)). x: [B, T, D] -> [B, T, D]. Parameters by Hugging Face's names. */
export class ClipLayer extends Module {
  private readonly mixNorm: LayerNorm;
  private readonly mix: SelfAttention;
  private readonly feedNorm: LayerNorm;
  private readonly feed: FeedForward;

  constructor(config: ClipLayerConfig, init: TextInit = zeroTextInit) {
    super();
    const norm = { width: config.width, eps: config.normEpsilon };
    this.mix = this.child('self_attn', new SelfAttention(config, init));
    this.mixNorm = this.child('layer_norm1', new LayerNorm(norm));
    this.feed = this.child('mlp', new FeedForward(config, init));
    this.feedNorm = this.child('layer_norm2', new LayerNorm(norm));
  }

  /** Attention, then a feed-forward layer, each beside a way around. x: [B, T, D] -> [B, T, D]. */
  forward(x_BTD: Tensor, visible: Visible): Tensor {
    const x = add(x_BTD, this.mix.forward(this.mixNorm.forward(x_BTD), visible));
    return add(x, this.feed.forward(this.feedNorm.forward(x)));
  }
}

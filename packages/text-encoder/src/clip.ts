import {
  add,
  argmax,
  attention,
  cast,
  Embedding,
  embedding,
  equal,
  geluErf,
  hostRandom,
  initZeros,
  Linear,
  Module,
  quickGelu,
  reshape,
  slice,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { type TextConfig, textConfig } from './config.ts';
import { TextError } from './errors.ts';
import type { TextFeatures } from './features.ts';
import { type TextInit, textInit } from './init.ts';
import { LayerNorm } from './layer-norm.ts';

/** What a token may see: real tokens that do not follow it. */
interface Visible {
  /** u32 [T]: token t sees those before limits[t]. */
  readonly limits_T: Tensor;
  /** u32 [B, T]: padding is 0. */
  readonly mask_BT: Tensor;
}

/** Causal attention among the tokens of a prompt. x: [B, T, D] -> [B, T, D]. */
class SelfAttention extends Module {
  private readonly heads: number;
  private readonly query: Linear;
  private readonly key: Linear;
  private readonly value: Linear;
  private readonly project: Linear;

  constructor({ width, heads }: TextConfig, init: TextInit) {
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
    const mixed_BTNd = attention(q_BTNd, k_BTNd, v_BTNd, { scale: d ** -0.5, limits: limits_T, keyMask: mask_BT });
    return this.project.forward(reshape(mixed_BTNd, [B, T, D]));
  }
}

/** fc2(activation(fc1(x))). x: [B, T, D] -> [B, T, D]. */
class FeedForward extends Module {
  private readonly fc1: Linear;
  private readonly fc2: Linear;
  private readonly activate: (x: Tensor) => Tensor;

  constructor({ width, mlpWidth, activation }: TextConfig, init: TextInit) {
    super();
    this.fc1 = this.child('fc1', new Linear({ in: width, out: mlpWidth, init: init.widen }));
    this.fc2 = this.child('fc2', new Linear({ in: mlpWidth, out: width, init: init.widenEnd }));
    this.activate = activation === 'gelu' ? geluErf : quickGelu;
  }

  forward(x_BTD: Tensor): Tensor {
    return this.fc2.forward(this.activate(this.fc1.forward(x_BTD)));
  }
}

/** x += attention(LN(x)); x += ffn(LN(x)). x: [B, T, D] -> [B, T, D]. */
class Layer extends Module {
  private readonly mixNorm: LayerNorm;
  private readonly mix: SelfAttention;
  private readonly feedNorm: LayerNorm;
  private readonly feed: FeedForward;

  constructor(config: TextConfig, init: TextInit) {
    super();
    const norm = { width: config.width, eps: config.normEpsilon };
    this.mix = this.child('self_attn', new SelfAttention(config, init));
    this.mixNorm = this.child('layer_norm1', new LayerNorm(norm));
    this.feed = this.child('mlp', new FeedForward(config, init));
    this.feedNorm = this.child('layer_norm2', new LayerNorm(norm));
  }

  forward(x_BTD: Tensor, visible: Visible): Tensor {
    const x = add(x_BTD, this.mix.forward(this.mixNorm.forward(x_BTD), visible));
    return add(x, this.feed.forward(this.feedNorm.forward(x)));
  }
}

/** The CLIP text model (Radford et al., 2021) with Hugging Face's parameter names, without projection. */
export class ClipText extends Module {
  readonly config: TextConfig;
  private readonly tokens: Embedding;
  private readonly places: Embedding;
  private readonly layers: readonly Layer[];
  private readonly norm: LayerNorm;

  /** Weights are zero without `init`; `initText` draws them. */
  constructor(config: TextConfig, init: TextInit = zeroInit) {
    super();
    const { vocabSize, positions, width } = config;
    this.config = config;
    const embeddings = 'text_model.embeddings';
    this.tokens = this.child(
      `${embeddings}.token_embedding`,
      new Embedding({ count: vocabSize, width, init: init.embedding }),
    );
    this.places = this.child(
      `${embeddings}.position_embedding`,
      new Embedding({ count: positions, width, init: init.embedding }),
    );
    this.layers = Array.from({ length: config.layers }, (_, i) =>
      this.child(`text_model.encoder.layers.${i}`, new Layer(config, init)),
    );
    this.norm = this.child('text_model.final_layer_norm', new LayerNorm({ width, eps: config.normEpsilon }));
  }

  /**
   * States of token ids; recorded for gradients unless the model is frozen. ids, mask: u32 [B, T], mask 1 = real.
   * @throws TextError if there are more tokens than positions.
   */
  forward(ids_BT: Tensor, mask_BT: Tensor): TextFeatures {
    const T = ids_BT.shape[1]!;
    if (T > this.config.positions)
      throw new TextError(
        'ClipText',
        `tokens must number at most ${this.config.positions}, got ${T}. Cut the prompts.`,
      );
    const visible = { limits_T: causalLimits(T), mask_BT };
    const x_BTD = add(this.tokens.forward(ids_BT), slice(this.places.weight, 0, 0, T));
    const last_BTD = this.layers.reduce((x, layer) => layer.forward(x, visible), x_BTD);
    const states_BTD = this.norm.forward(last_BTD);
    return {
      states: states_BTD,
      mask: mask_BT,
      pooled: pool(states_BTD, endPositions(ids_BT, this.config.eosTokenId)),
    };
  }
}

const zeroInit: TextInit = {
  embedding: initZeros,
  mix: initZeros,
  mixEnd: initZeros,
  widen: initZeros,
  widenEnd: initZeros,
};

/** A text tower of any size with CLIP's initial weights, to be trained. @throws TextConfigError listing every fault. */
export function initText(config: Partial<TextConfig>, { seed }: { readonly seed: number }): ClipText {
  const full = textConfig(config);
  return new ClipText(full, textInit(full, hostRandom(seed)));
}

/** Token t sees t + 1 tokens. [T] */
const causalLimits = (T: number): Tensor =>
  tensor(
    Uint32Array.from({ length: T }, (_, t) => t + 1),
    [T],
    { dtype: 'u32' },
  );

/** Where each prompt ends: at its largest id if the config says 2, else at the first end token. ids: [B, T] -> u32 [B]. */
function endPositions(ids_BT: Tensor, eosTokenId: number): Tensor {
  return argmax(cast(eosTokenId === 2 ? ids_BT : equal(ids_BT, eosTokenId), 'f32'));
}

/** The state at one position of each prompt. states: [B, T, D], positions: u32 [B] -> [B, D]. */
function pool(states_BTD: Tensor, positions_B: Tensor): Tensor {
  const [B, T, D] = states_BTD.shape as [number, number, number];
  const starts_B = tensor(
    Uint32Array.from({ length: B }, (_, b) => b * T),
    [B],
    { dtype: 'u32' },
  );
  return embedding(reshape(states_BTD, [B * T, D]), add(starts_B, positions_B));
}

import {
  add,
  argmax,
  cast,
  Embedding,
  embedding,
  equal,
  hostRandom,
  Module,
  reshape,
  slice,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { ClipLayer } from './clip-layer.ts';
import { type TextConfig, textConfig } from './config.ts';
import { TextError } from './errors.ts';
import type { TextFeatures } from './features.ts';
import { type TextInit, textInit, zeroTextInit } from './init.ts';
import { LayerNorm } from './layer-norm.ts';

/** The CLIP text model (Radford et al., 2021) with Hugging Face's parameter names, without projection. */
export class ClipText extends Module {
  readonly config: TextConfig;
  private readonly tokens: Embedding;
  private readonly places: Embedding;
  private readonly layers: readonly ClipLayer[];
  private readonly norm: LayerNorm;

  /** Weights are zero without `init`; `initText` draws them. */
  constructor(config: TextConfig, init: TextInit = zeroTextInit) {
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
      this.child(`text_model.encoder.layers.${i}`, new ClipLayer(config, init)),
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
    // The stream that layers add to is f32, whatever the parameters are.
    const x_BTD = add(this.tokens.forward(ids_BT), cast(slice(this.places.weight, 0, 0, T), 'f32'));
    const last_BTD = this.layers.reduce((x, layer) => layer.forward(x, visible), x_BTD);
    const states_BTD = this.norm.forward(last_BTD);
    return {
      states: states_BTD,
      mask: mask_BT,
      pooled: pool(states_BTD, endPositions(ids_BT, this.config.eosTokenId)),
    };
  }
}

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

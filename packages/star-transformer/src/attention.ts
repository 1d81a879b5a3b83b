import {
  add,
  attention,
  expand,
  initConstant,
  initZeros,
  keyValueHeads,
  Linear,
  type LinearFinish,
  Module,
  queryHeads,
  queryKeyValueHeads,
  reshape,
  slice,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import type { StarConfig } from './config.ts';
import type { StarInit } from './init.ts';
import { type BlockText, type CacheRows, fillRows, type KeyValues } from './kv-cache.ts';
import type { Compared } from './watch.ts';

/** What a token sees of a sequence: rotations of its positions, and where keys end in training. */
export interface Positions {
  /** [l, d/2, 2] */
  readonly rope_ld2: Tensor;
  /** u32 [L]; absent at sampling, where the cache holds only what may be seen. */
  readonly limits_L?: Tensor;
  /** u32 [L, 2]: where the keys begin and end that a token sees besides token 0; instead of limits. */
  readonly ranges_L2?: Tensor;
}

/** Where a scale's keys and values go at sampling, and what the projection adds its result to. */
interface AttentionEnds {
  readonly cache?: CacheRows | undefined;
  readonly finish?: LinearFinish;
}

/** What cross-attention adds its result to, and who wants to see what it compares. */
interface CrossEnds {
  readonly residual: Tensor;
  readonly watch?: ((compared: Compared) => void) | undefined;
}

/** Logarithm of a head's factor at the start. */
const firstScale = Math.log(4);

const joinHeads = (x_BlNd: Tensor): Tensor => {
  const [B, l, N, d] = x_BlNd.shape as [number, number, number, number];
  return reshape(x_BlNd, [B, l, N * d]);
};

/** Self-attention over scales: QK-normalised, rotated, block-causal. x: [B, l, C] -> [B, l, C]. */
export class SelfAttention extends Module {
  private readonly config: StarConfig;
  private readonly scale_1N11: Tensor;
  private readonly queryBias: Tensor;
  private readonly valueBias: Tensor;
  private readonly joint: Linear;
  private readonly project: Linear;

  constructor(config: StarConfig, init: StarInit) {
    super();
    this.config = config;
    const { width, heads } = config;
    this.scale_1N11 = this.parameter('scale_mul_1H11', [1, heads, 1, 1], initConstant(firstScale));
    this.queryBias = this.parameter('q_bias', [width], initZeros);
    this.valueBias = this.parameter('v_bias', [width], initZeros);
    this.joint = this.child('mat_qkv', new Linear({ in: width, out: 3 * width, init: init.weight, bias: false }));
    this.project = this.child('proj', new Linear({ in: width, out: width, init: init.branchEnd }));
  }

  /** Attends to the tokens themselves, and to those before them in the cache, if any, which takes theirs in. */
  forward(x_BlC: Tensor, positions: Positions, { cache, finish }: AttentionEnds = {}): Tensor {
    const { rope_ld2, limits_L, ranges_L2 } = positions;
    const { query, key, value } = queryKeyValueHeads(this.joint.forward(x_BlC), {
      heads: this.config.heads,
      rope: rope_ld2,
      scale: this.scale_1N11,
      queryBias: this.queryBias,
      valueBias: this.valueBias,
    });
    const all = cache ? fillRows(cache, { key, value }) : { key, value };
    const visible = { ...(limits_L && { limits: limits_L }), ...(ranges_L2 && { ranges: ranges_L2 }) };
    const mixed_BlNd = attention(query, all.key, all.value, { scale: 1, ...visible });
    return this.project.forward(joinHeads(mixed_BlNd), finish);
  }
}

/** Cross-attention to the text states: QK-normalised, padding masked. x: [B, l, C] -> [B, l, C]. */
export class CrossAttention extends Module {
  private readonly config: StarConfig;
  private readonly scale_1N11: Tensor;
  private readonly queryBias: Tensor;
  private readonly valueBias: Tensor;
  private readonly query: Linear;
  private readonly keyValue: Linear;
  private readonly project: Linear;

  constructor(config: StarConfig, init: StarInit) {
    super();
    this.config = config;
    const { width, heads, textWidth } = config;
    this.scale_1N11 = this.parameter('scale_mul_1H11', [1, heads, 1, 1], initConstant(firstScale));
    this.queryBias = this.parameter('q_bias', [width], initZeros);
    this.valueBias = this.parameter('v_bias', [width], initZeros);
    this.query = this.child('mat_q', new Linear({ in: width, out: width, init: init.weight, bias: false }));
    this.keyValue = this.child('mat_kv', new Linear({ in: textWidth, out: 2 * width, init: init.weight, bias: false }));
    this.project = this.child('proj', new Linear({ in: width, out: width, init: init.branchEnd }));
  }

  /** Keys and values of the text: the same for every scale, so a sampler computes them once. states: [B, T, D]. */
  text(states_BTD: Tensor): KeyValues {
    return keyValueHeads(this.keyValue.forward(states_BTD), { heads: this.config.heads, valueBias: this.valueBias });
  }

  /** residual + attention. */
  forward(x_BlC: Tensor, { key, value, mask_BT }: BlockText, { residual, watch }: CrossEnds): Tensor {
    const query = queryHeads(this.query.forward(x_BlC), {
      heads: this.config.heads,
      scale: this.scale_1N11,
      queryBias: this.queryBias,
    });
    watch?.({ query, key, mask_BT });
    const mixed_BlC = joinHeads(attention(query, key, value, { scale: 1, keyMask: mask_BT }));
    if (this.config.crossAttention === 'per-sample') return this.project.forward(mixed_BlC, { residual });
    return add(residual, expand(this.project.forward(slice(mixed_BlC, 0, 0, 1)), x_BlC.shape));
  }
}

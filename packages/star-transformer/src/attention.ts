import {
  attention,
  exp,
  expand,
  initConstant,
  initZeros,
  l2Normalize,
  Linear,
  linear,
  minimum,
  Module,
  mul,
  reshape,
  rope,
  slice,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import type { StarConfig } from './config.ts';
import type { StarInit } from './init.ts';
import { type CacheRows, fillRows, type KeyValues } from './kv-cache.ts';

/** What a token sees of a sequence: rotations of its positions, and where keys end in training. */
export interface Positions {
  /** [l, d/2, 2] */
  readonly rope_ld2: Tensor;
  /** u32 [L]; absent at sampling, where the cache holds only what may be seen. */
  readonly limits_L?: Tensor;
}

/** The learned scale may not exceed this. */
const largestScale = Math.log(100);
const firstScale = Math.log(4);

const splitHeads = (x_BlC: Tensor, heads: number): Tensor => {
  const [B, l, C] = x_BlC.shape as [number, number, number];
  return reshape(x_BlC, [B, l, heads, C / heads]);
};

const joinHeads = (x_BlNd: Tensor): Tensor => {
  const [B, l, N, d] = x_BlNd.shape as [number, number, number, number];
  return reshape(x_BlNd, [B, l, N * d]);
};

/** Queries of unit length times exp(min(scale, ln 100)), one scale a head. */
function scaledQueries(q_BlNd: Tensor, scale_1N11: Tensor): Tensor {
  const [B, l, N, d] = q_BlNd.shape as [number, number, number, number];
  const factor_Nd = expand(reshape(exp(minimum(scale_1N11, largestScale)), [N, 1]), [N, d]);
  const factor_C = reshape(factor_Nd, [N * d]);
  return reshape(mul(reshape(l2Normalize(q_BlNd), [B, l, N * d]), factor_C), [B, l, N, d]);
}

/** Self-attention over scales: QK-normalised, rotated, block-causal. x: [B, l, C] -> [B, l, C]. */
export class SelfAttention extends Module {
  private readonly config: StarConfig;
  private readonly scale_1N11: Tensor;
  private readonly queryBias: Tensor;
  private readonly valueBias: Tensor;
  private readonly weight: Tensor;
  private readonly project: Linear;

  constructor(config: StarConfig, init: StarInit) {
    super();
    this.config = config;
    const { width, heads } = config;
    this.scale_1N11 = this.parameter('scale_mul_1H11', [1, heads, 1, 1], initConstant(firstScale));
    this.queryBias = this.parameter('q_bias', [width], initZeros);
    this.valueBias = this.parameter('v_bias', [width], initZeros);
    this.weight = this.parameter('mat_qkv.weight', [3 * width, width], init.weight);
    this.project = this.child('proj', new Linear({ in: width, out: width, init: init.branchEnd }));
  }

  /** Attends to the tokens themselves, and to those before them in the cache, if any, which takes theirs in. */
  forward(x_BlC: Tensor, { rope_ld2, limits_L }: Positions, cache?: CacheRows): Tensor {
    const { width, heads } = this.config;
    const part = (i: number, bias?: Tensor): Tensor =>
      splitHeads(linear(x_BlC, slice(this.weight, 0, i * width, (i + 1) * width), bias), heads);
    const q_BlNd = scaledQueries(rope(part(0, this.queryBias), rope_ld2), this.scale_1N11);
    const key = l2Normalize(rope(part(1), rope_ld2));
    const value = part(2, this.valueBias);
    const all = cache ? fillRows(cache, { key, value }) : { key, value };
    const mixed_BlNd = attention(q_BlNd, all.key, all.value, { scale: 1, ...(limits_L && { limits: limits_L }) });
    return this.project.forward(joinHeads(mixed_BlNd));
  }
}

/** Cross-attention to the text states: QK-normalised, padding masked. x: [B, l, C] -> [B, l, C]. */
export class CrossAttention extends Module {
  private readonly config: StarConfig;
  private readonly scale_1N11: Tensor;
  private readonly queryBias: Tensor;
  private readonly valueBias: Tensor;
  private readonly queryWeight: Tensor;
  private readonly weight: Tensor;
  private readonly project: Linear;

  constructor(config: StarConfig, init: StarInit) {
    super();
    this.config = config;
    const { width, heads, textWidth } = config;
    this.scale_1N11 = this.parameter('scale_mul_1H11', [1, heads, 1, 1], initConstant(firstScale));
    this.queryBias = this.parameter('q_bias', [width], initZeros);
    this.valueBias = this.parameter('v_bias', [width], initZeros);
    this.queryWeight = this.parameter('mat_q.weight', [width, width], init.weight);
    this.weight = this.parameter('mat_kv.weight', [2 * width, textWidth], init.weight);
    this.project = this.child('proj', new Linear({ in: width, out: width, init: init.branchEnd }));
  }

  /** Keys and values of the text: the same for every scale, so a sampler computes them once. states: [B, T, D]. */
  text(states_BTD: Tensor): KeyValues {
    const { width, heads } = this.config;
    const part = (i: number, bias?: Tensor): Tensor =>
      splitHeads(linear(states_BTD, slice(this.weight, 0, i * width, (i + 1) * width), bias), heads);
    return { key: l2Normalize(part(0)), value: part(1, this.valueBias) };
  }

  forward(x_BlC: Tensor, { key, value }: KeyValues, mask_BT: Tensor): Tensor {
    const q_BlNd = scaledQueries(
      splitHeads(linear(x_BlC, this.queryWeight, this.queryBias), this.config.heads),
      this.scale_1N11,
    );
    const y_BlC = this.project.forward(joinHeads(attention(q_BlNd, key, value, { scale: 1, keyMask: mask_BT })));
    return this.config.crossAttention === 'first-sample' ? expand(slice(y_BlC, 0, 0, 1), y_BlC.shape) : y_BlC;
  }
}

import {
  bernoulli,
  expand,
  layerNorm,
  Linear,
  type LinearFinish,
  Module,
  mul,
  type Seed,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import { CrossAttention, type Positions, SelfAttention } from './attention.ts';
import { normEpsilon, type StarConfig } from './config.ts';
import type { StarInit } from './init.ts';
import type { BlockText, CacheRows } from './kv-cache.ts';
import type { Compared } from './watch.ts';

/** residual + fc2(gelu(fc1(x))). x: [B, l, C] -> [B, l, C]. */
export class FeedForward extends Module {
  private readonly fc1: Linear;
  private readonly fc2: Linear;

  constructor({ width, mlpRatio }: StarConfig, init: StarInit) {
    super();
    const hidden = Math.round(width * mlpRatio);
    this.fc1 = this.child('fc1', new Linear({ in: width, out: hidden, init: init.weight }));
    this.fc2 = this.child('fc2', new Linear({ in: hidden, out: width, init: init.branchEnd }));
  }

  forward(x_BlC: Tensor, finish: LinearFinish): Tensor {
    return this.fc2.forward(this.fc1.forward(x_BlC, { activation: 'gelu' }), finish);
  }
}

/** Branches to drop: with which rate, and drawn from which seed and pair of streams. */
interface Drop {
  readonly rate: number;
  readonly seed: Seed;
  readonly stream: number;
}

/** What a block is given beside its tokens. */
export interface BlockInput {
  readonly positions: Positions;
  readonly text: BlockText;
  readonly cache?: CacheRows;
  /** Drops whole branches of batch elements; for training only. */
  readonly drop?: Drop;
  /** Is shown what cross-attention compares. */
  readonly watch?: (compared: Compared) => void;
}

/** x += self(LN(x)); x += cross(LN(x)); x += ffn(LN(x)). x: [B, l, C] -> [B, l, C]. */
export class Block extends Module {
  private readonly attn: SelfAttention;
  private readonly cross: CrossAttention;
  private readonly ffn: FeedForward;

  constructor(config: StarConfig, init: StarInit) {
    super();
    this.attn = this.child('attn', new SelfAttention(config, init));
    this.cross = this.child('cross_attn', new CrossAttention(config, init));
    this.ffn = this.child('ffn', new FeedForward(config, init));
  }

  /** The text's keys and values for this block. */
  text(states_BTD: Tensor, mask_BT: Tensor): BlockText {
    return { ...this.cross.text(states_BTD), mask_BT };
  }

  forward(x_BlC: Tensor, { positions, text, cache, drop, watch }: BlockInput): Tensor {
    const norm = (x: Tensor): Tensor => layerNorm(x, { eps: normEpsilon });
    let x = this.attn.forward(norm(x_BlC), positions, { cache, finish: branchInto(x_BlC, drop, 0) });
    x = this.cross.forward(norm(x), text, { residual: x, watch });
    return this.ffn.forward(norm(x), branchInto(x, drop, 1));
  }
}

/** Adds a branch to the stream; for a batch element with the given rate not at all, which the others make up for. */
function branchInto(residual: Tensor, drop: Drop | undefined, branch: 0 | 1): LinearFinish {
  if (!drop || drop.rate === 0) return { residual };
  const [B, , C] = residual.shape as [number, number, number];
  const kept_B1 = bernoulli([B, 1], 1 - drop.rate, { seed: drop.seed, stream: drop.stream + branch });
  return { residual, gate: expand(mul(kept_B1, 1 / (1 - drop.rate)), [B, C]) };
}

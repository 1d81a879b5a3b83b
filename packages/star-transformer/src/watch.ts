import {
  attentionWeights,
  concat,
  contiguous,
  expand,
  mean,
  mul,
  slice,
  type Tensor,
  add,
} from '@star-webgpu/tensor-webgpu';
import type { StarConfig } from './config.ts';

/** Words of the text whose share of the cross-attention is to be known. */
export interface WatchedText {
  /** Which tokens a word is made of: 0 and 1, [B, W, T], W at most the width of a head. Batch elements beyond B are not looked at. */
  readonly words_BWT: Tensor;
  /** Blocks that are averaged, from 0; all by default. */
  readonly blocks?: readonly number[];
  /** Heads that are averaged, from 0; all by default. */
  readonly heads?: readonly number[];
}

/** What a block's cross-attention compares: queries [B, l, N, d], keys [B, T, N, d], and u32 [B, T] for padding. */
export interface Compared {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly mask_BT: Tensor;
}

/** Gathers how much of the cross-attention words get, block by block. */
export class AttentionWatch {
  private readonly watched: WatchedText;
  private readonly config: StarConfig;
  private readonly blocks: Tensor[] = [];

  constructor(watched: WatchedText, config: StarConfig) {
    this.watched = watched;
    this.config = config;
  }

  /** Looks at a block, if it is among those that are averaged. */
  look(block: number, compared: Compared): void {
    if (this.watched.blocks?.includes(block) ?? true) this.blocks.push(this.sharesOf(compared));
  }

  /** The mean over blocks and heads. [B, l, W], from 0 to 1. */
  mean(): Tensor {
    return mul(
      this.blocks.reduce((a, b) => add(a, b)),
      1 / this.blocks.length,
    );
  }

  /** One block's mean over heads. [B, l, W]. */
  private sharesOf({ query, key, mask_BT }: Compared): Tensor {
    const { words_BWT, heads } = this.watched;
    // The released code gives each element what the first attends to, so this is what all of them see.
    const shared = this.config.crossAttention === 'first-sample';
    const first = (x: Tensor): Tensor => slice(x, 0, 0, shared ? 1 : words_BWT.shape[0]!);
    const options = { scale: 1, keyMask: contiguous(first(mask_BT)) };
    const shares_BlNW = attentionWeights(first(query), first(key), first(words_BWT), options);
    const chosen = heads
      ? concat(
          heads.map((n) => slice(shares_BlNW, 2, n, n + 1)),
          2,
        )
      : shares_BlNW;
    const shares_BlW = mean(chosen, { axis: 2 });
    return shared ? expand(shares_BlW, [words_BWT.shape[0]!, ...shares_BlW.shape.slice(1)]) : shares_BlW;
  }
}

import { groupNorm } from '../ops/group-norm.ts';
import type { Tensor } from '../tensor.ts';
import { initOnes, initZeros } from './init.ts';
import { Module } from './module.ts';

/** Group normalisation with scale and shift, and SiLU behind it if asked. x: [B, H, W, C] -> [B, H, W, C]. */
export class GroupNorm extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  private readonly groups: number;

  constructor(options: { channels: number; groups: number }) {
    super();
    this.weight = this.parameter('weight', [options.channels], initOnes);
    this.bias = this.parameter('bias', [options.channels], initZeros);
    this.groups = options.groups;
  }

  /** Normalises groups of channels. x: [B, H, W, C] -> [B, H, W, C]. */
  forward(x: Tensor, activation: 'none' | 'silu' = 'none'): Tensor {
    return groupNorm(x, { groups: this.groups, eps: 1e-6, weight: this.weight, bias: this.bias, activation });
  }
}

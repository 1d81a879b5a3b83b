import { embedding } from '../ops/embedding.ts';
import type { Tensor } from '../tensor.ts';
import type { Init } from './init.ts';
import { Module } from './module.ts';

/** Rows of a table by index. indices: u32 [...] -> [..., width]. Parameter `weight` [count, width]. */
export class Embedding extends Module {
  readonly weight: Tensor;

  constructor(options: { count: number; width: number; init: Init }) {
    super();
    this.weight = this.parameter('weight', [options.count, options.width], options.init);
  }

  /** Rows of the table. indices: u32 [...] -> [..., C]. */
  forward(indices: Tensor): Tensor {
    return embedding(this.weight, indices);
  }
}

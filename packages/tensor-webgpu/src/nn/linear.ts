import { linear } from '../ops/matmul.ts';
import type { Tensor } from '../tensor.ts';
import { type Init, initZeros } from './init.ts';
import { Module } from './module.ts';

/** y = x W^T + b. x: [..., in] -> [..., out]. Parameters `weight` [out, in] and `bias` [out]. */
export class Linear extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;

  constructor(options: { in: number; out: number; init: Init; bias?: boolean; biasInit?: Init }) {
    super();
    this.weight = this.parameter('weight', [options.out, options.in], options.init);
    this.bias =
      options.bias === false ? undefined : this.parameter('bias', [options.out], options.biasInit ?? initZeros);
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}

import { linear, type LinearFinish } from '../ops/linear.ts';
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

  /** x: [..., in] -> [..., out], finished in the same pass where asked. */
  forward(x: Tensor, finish: LinearFinish = {}): Tensor {
    return linear(x, this.weight, this.bias, finish);
  }
}

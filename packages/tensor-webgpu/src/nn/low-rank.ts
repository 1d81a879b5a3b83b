import { check } from '../errors.ts';
import type { Activation } from '../kernels/gemm/spec.ts';
import { gelu, mul, relu, silu } from '../ops/elementwise.ts';
import { linear, type LinearFinish } from '../ops/linear.ts';
import { matmul } from '../ops/matmul.ts';
import type { Tensor } from '../tensor.ts';
import { type Init, initZeros } from './init.ts';
import { Module } from './module.ts';

const activations: Readonly<Record<Activation, (x: Tensor) => Tensor>> = { none: (x) => x, relu, gelu, silu };

/** What a linear layer is made of, beside an adapter. */
interface Base {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly finish: LinearFinish;
}

/**
 * A low-rank adapter of a linear layer (LoRA, Hu et al., 2021, section 4.1): y = x W^T + bias + scale (x A^T) B^T.
 * Parameters `lora_A.weight` [rank, in] and `lora_B.weight` [out, rank], as the peft library names them; B begins with zeros, so that nothing
 * is changed at first.
 */
export class LowRank extends Module {
  readonly scale: number;
  private readonly down: Tensor;
  private readonly up: Tensor;

  /** @param options.scale factor of the addition: alpha / rank, as it is usually given */
  constructor(options: { in: number; out: number; rank: number; scale: number; init: Init }) {
    super();
    this.scale = options.scale;
    this.down = this.parameter('lora_A.weight', [options.rank, options.in], options.init);
    this.up = this.parameter('lora_B.weight', [options.out, options.rank], initZeros);
  }

  /** The layer's result with the addition. x: [..., in] -> [..., out]. */
  forward(x: Tensor, { weight, bias, finish: { activation = 'none', ...finish } }: Base): Tensor {
    check(
      'LowRank',
      activation === 'none' || !(finish.gate ?? finish.residual),
      () => `an adapted layer must end in an activation, or in gate and residual, got ${activation} with both.`,
    );
    const base = linear(x, weight, bias, finish);
    const narrow = mul(linear(x, this.down), this.scale);
    return activations[activation](linear(narrow, this.up, undefined, { ...finish, residual: base }));
  }

  /** What is added to the layer's weight: scale B A. -> [out, in]. */
  delta(): Tensor {
    return mul(matmul(this.up, this.down), this.scale);
  }
}

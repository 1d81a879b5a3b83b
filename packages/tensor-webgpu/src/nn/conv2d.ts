import { conv2d, type Padding } from '../ops/conv2d.ts';
import type { Tensor } from '../tensor.ts';
import { type Init, initZeros } from './init.ts';
import { Module } from './module.ts';

/** 2-D convolution. x: [B, H, W, in] -> [B, h, w, out]. Parameters `weight` [out, in, k, k] and `bias` [out]. */
export class Conv2d extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  private readonly stride: number;
  private readonly padding: Padding;
  private readonly upsample: 1 | 2;

  constructor(options: {
    in: number;
    out: number;
    kernel: number;
    init: Init;
    biasInit?: Init;
    stride?: number;
    padding?: Padding;
    upsample?: 1 | 2;
  }) {
    super();
    const { kernel } = options;
    this.weight = this.parameter('weight', [options.out, options.in, kernel, kernel], options.init);
    this.bias = this.parameter('bias', [options.out], options.biasInit ?? initZeros);
    this.stride = options.stride ?? 1;
    this.padding = options.padding ?? (kernel - 1) / 2;
    this.upsample = options.upsample ?? 1;
  }

  /** The convolution of pictures. x: [B, H, W, I] -> [B, h, w, O]. */
  forward(x: Tensor): Tensor {
    const { bias, stride, padding, upsample } = this;
    return conv2d(x, this.weight, { bias, stride, padding, upsample });
  }
}

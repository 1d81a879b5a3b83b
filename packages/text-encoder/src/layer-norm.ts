import { initOnes, initZeros, layerNorm, Module, type Tensor } from '@star-webgpu/tensor-webgpu';

/** Layer norm over the last axis with scale and shift. x: [..., C] -> [..., C]. Parameters `weight` and `bias` [C]. */
export class LayerNorm extends Module {
  private readonly weight: Tensor;
  private readonly bias: Tensor;
  private readonly eps: number;

  constructor({ width, eps }: { readonly width: number; readonly eps: number }) {
    super();
    this.weight = this.parameter('weight', [width], initOnes);
    this.bias = this.parameter('bias', [width], initZeros);
    this.eps = eps;
  }

  /** Normalises the last axis. x: [..., D] -> [..., D]. */
  forward(x: Tensor): Tensor {
    return layerNorm(x, { eps: this.eps, weight: this.weight, bias: this.bias });
  }
}

import { initOnes, Module, rmsNorm, type Tensor } from '@star-webgpu/tensor-webgpu';

/** Root-mean-square norm over the last axis with scale. x: [..., C] -> [..., C]. Parameter `weight` [C]. */
export class RmsNorm extends Module {
  private readonly weight: Tensor;
  private readonly eps: number;

  constructor({ width, eps }: { readonly width: number; readonly eps: number }) {
    super();
    this.weight = this.parameter('weight', [width], initOnes);
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, { eps: this.eps, weight: this.weight });
  }
}

import {
  type Conv2dOptions,
  conv2d,
  groupNorm,
  hostRandom,
  type Init,
  initNormal,
  initOnes,
  initZeros,
  leakyRelu,
  Module,
  reshape,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';

/** Sizes of a discriminator. */
export interface DiscriminatorConfig {
  /** Width of the first layer; each of the next doubles it, up to eight times. */
  readonly channels: number;
  /** Layers that halve the picture. */
  readonly layers: number;
}

/** VQGAN's. */
export const publishedDiscriminator: DiscriminatorConfig = { channels: 64, layers: 3 };

interface Layer {
  /** Place among the published code's modules. */
  readonly index: number;
  readonly in: number;
  readonly out: number;
  readonly stride: 1 | 2;
  /** Batch normalisation and a leaky ReLU behind the convolution; the first layer goes without the one, the last without both. */
  readonly norm: boolean;
}

/** All layers, in order: those that halve the picture, one of stride 1, and the one that gives logits. */
function layersOf({ channels, layers }: DiscriminatorConfig): Layer[] {
  const width = (layer: number): number => channels * Math.min(2 ** layer, 8);
  const inner = Array.from({ length: layers }, (_, i): Layer => {
    const stride = i + 1 < layers ? 2 : 1;
    return { index: 2 + 3 * i, in: width(i), out: width(i + 1), stride, norm: true };
  });
  const first: Layer = { index: 0, in: 3, out: channels, stride: 2, norm: false };
  const last: Layer = { index: 2 + 3 * layers, in: width(layers), out: 1, stride: 1, norm: false };
  return [first, ...inner, last];
}

/** A 4x4 convolution with padding 1. */
class Convolution extends Module {
  private readonly weight: Tensor;
  private readonly options: Conv2dOptions;

  constructor({ in: I, out: O, stride, norm }: Layer, init: Init) {
    super();
    this.weight = this.parameter('weight', [O, I, 4, 4], init);
    // A bias ahead of a normalisation would be taken out again.
    this.options = { stride, padding: 1, ...(!norm && { bias: this.parameter('bias', [O], initZeros) }) };
  }

  forward(x_BHWC: Tensor): Tensor {
    return conv2d(x_BHWC, this.weight, this.options);
  }
}

/** Batch normalisation by the statistics of the batch at hand, as in training. x: [B, H, W, C] -> [B, H, W, C]. */
class BatchNorm extends Module {
  private readonly weight: Tensor;
  private readonly bias: Tensor;

  constructor(channels: number) {
    super();
    this.weight = this.parameter('weight', [channels], initOnes);
    this.bias = this.parameter('bias', [channels], initZeros);
  }

  forward(x_BHWC: Tensor): Tensor {
    const [B, H, W, C] = x_BHWC.shape as [number, number, number, number];
    // The batch as one tall picture, every channel a group of its own.
    const { weight, bias } = this;
    const y = groupNorm(reshape(x_BHWC, [1, B * H, W, C]), { groups: C, eps: 1e-5, weight, bias });
    return reshape(y, [B, H, W, C]);
  }
}

/** Slope of the leaky ReLUs below zero. */
const slope = 0.2;

/**
 * PatchGAN's discriminator (Isola et al., 2017) in VQGAN's form: for each of many overlapping patches a logit that it is real. It serves training alone.
 * x: [B, H, W, 3] in [-1, 1] -> [B, h, w, 1].
 */
export class Discriminator extends Module {
  readonly config: DiscriminatorConfig;
  private readonly layers: readonly { readonly convolution: Convolution; readonly norm: BatchNorm | undefined }[];

  /** Builds it with initial weights that depend on the seed only: normal of deviation 0.02. */
  constructor(config: DiscriminatorConfig, { seed = 0 }: { readonly seed?: number } = {}) {
    super();
    this.config = config;
    const init = initNormal(hostRandom(seed), 0.02);
    this.layers = layersOf(config).map((layer) => ({
      convolution: this.child(`main.${layer.index}`, new Convolution(layer, init)),
      norm: layer.norm ? this.child(`main.${layer.index + 1}`, new BatchNorm(layer.out)) : undefined,
    }));
  }

  /** Logits of patches. x: [B, H, W, 3] -> [B, h, w, 1]. */
  forward(x_BHW3: Tensor): Tensor {
    const last = this.layers.length - 1;
    return this.layers.reduce((x, { convolution, norm }, i) => {
      const y = convolution.forward(x);
      if (i === last) return y;
      return leakyRelu(norm ? norm.forward(y) : y, slope);
    }, x_BHW3);
  }
}

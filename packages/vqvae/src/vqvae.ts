import {
  add,
  cast,
  clamp,
  concat,
  type Conv2d,
  hostRandom,
  mean,
  Module,
  permute,
  square,
  sub,
  type Tensor,
  withParameters,
} from '@star-webgpu/tensor-webgpu';
import { convolution } from './blocks.ts';
import type { VqvaeConfig } from './config.ts';
import { Decoder } from './decoder.ts';
import { Encoder } from './encoder.ts';
import { type Quantized, Quantizer } from './quantizer.ts';

/** A batch in training, up to what the decoder's last layer reads. */
export interface VqvaeFeatures extends Quantized {
  /** [B, H, W, C]. */
  readonly features_BHWC: Tensor;
  /** Codebook and commitment losses over all scales. */
  readonly quantizeLoss: Tensor;
}

/** What a training step needs of one batch. */
export interface VqvaeTraining extends VqvaeFeatures {
  /** [B, 3, H, W], not clamped. */
  readonly reconstruction_B3HW: Tensor;
  /** Mean squared error of the pixels. */
  readonly pixelLoss: Tensor;
  /** Their sum, the published loss. */
  readonly loss: Tensor;
}

/** The multi-scale VQVAE: pictures to S token maps and back. */
export class Vqvae extends Module {
  readonly config: VqvaeConfig;
  readonly quantizer: Quantizer;
  private readonly encoder: Encoder;
  private readonly decoder: Decoder;
  private readonly quantConv: Conv2d;
  private readonly postQuantConv: Conv2d;

  /** Builds the model with initial weights that depend on the seed only. */
  constructor(config: VqvaeConfig, { seed = 0 }: { readonly seed?: number } = {}) {
    super();
    this.config = config;
    const random = hostRandom(seed);
    const context = { random, normGroups: config.normGroups };
    const sides = { in: config.codeWidth, out: config.codeWidth };
    this.encoder = this.child('encoder', new Encoder(config, context));
    this.decoder = this.child('decoder', new Decoder(config, context));
    // Codes must stay apart: halves would change which one is nearest.
    this.quantizer = this.child(
      'quantize',
      withParameters({ dtype: 'f32' }, () => new Quantizer(config, random)),
    );
    this.quantConv = this.child('quant_conv', convolution(random, sides));
    this.postQuantConv = this.child('post_quant_conv', convolution(random, sides));
  }

  /** Latent map of pictures in [-1, 1], in f32 as the quantiser wants it. [B, 3, H, W] -> [B, h, w, Z]. */
  encode(images_B3HW: Tensor): Tensor {
    return cast(this.quantConv.forward(this.encoder.forward(permute(images_B3HW, [0, 2, 3, 1]))), 'f32');
  }

  /** Tokens of pictures, all scales in sequence. [B, 3, H, W] -> u32 [B, L]. */
  imageToTokens(images_B3HW: Tensor): Tensor {
    return concat(this.quantizer.quantize(this.encode(images_B3HW)).indices, 1);
  }

  /** Pictures of a summed latent map, clamped to [-1, 1]. [B, h, w, Z] -> [B, H, W, 3]. */
  decode(sum_BhwZ: Tensor): Tensor {
    return clamp(cast(this.decoder.forward(this.postQuantConv.forward(sum_BhwZ)), 'f32'), -1, 1);
  }

  /** Pictures through the codebook and back, clamped to [-1, 1]. [B, 3, H, W] -> [B, H, W, 3]. */
  reconstruct(images_B3HW: Tensor): Tensor {
    return this.decode(this.quantizer.quantize(this.encode(images_B3HW)).sums.at(-1)!);
  }

  /** Straight-through reconstruction with the published losses. [B, 3, H, W]. */
  trainForward(images_B3HW: Tensor): VqvaeTraining {
    const features = this.trainFeatures(images_B3HW);
    const reconstruction_B3HW = permute(cast(this.lastLayer.forward(features.features_BHWC), 'f32'), [0, 3, 1, 2]);
    const pixelLoss = mean(square(sub(reconstruction_B3HW, images_B3HW)));
    return { ...features, reconstruction_B3HW, pixelLoss, loss: add(pixelLoss, features.quantizeLoss) };
  }

  /** The same up to the decoder's last layer, for losses that want to see its gradient. [B, 3, H, W]. */
  trainFeatures(images_B3HW: Tensor): VqvaeFeatures {
    const { sum_BhwZ, loss: quantizeLoss, ...quantized } = this.quantizer.trainForward(this.encode(images_B3HW));
    return { ...quantized, features_BHWC: this.decoder.features(this.postQuantConv.forward(sum_BhwZ)), quantizeLoss };
  }

  /** No gradients for what decides the tokens, encoder and quantiser, so that training leaves them as they are. Returns the model. */
  freezeTokens(): this {
    for (const part of [this.encoder, this.quantConv, this.quantizer]) part.freeze();
    return this;
  }

  /** The decoder's last layer: [B, H, W, C] -> [B, H, W, 3], not clamped. */
  get lastLayer(): Conv2d {
    return this.decoder.lastLayer;
  }
}

import { type Conv2d, GroupNorm, Module, type Tensor } from '@star-webgpu/tensor-webgpu';
import { type BlockContext, convolution, Level, Middle, Upsample } from './blocks.ts';
import type { VqvaeConfig } from './config.ts';

/** Latents to pictures; the mirror of the encoder with one more block a level. z: [B, h, w, Z] -> [B, H, W, 3], not clamped. */
export class Decoder extends Module {
  private readonly convIn: Conv2d;
  private readonly middle: Middle;
  /** From the narrowest level to the widest picture. */
  private readonly levels: readonly { readonly level: Level; readonly up: Upsample | undefined }[];
  private readonly norm: GroupNorm;
  /** The features of every pixel to its colours, not clamped. [B, H, W, C] -> [B, H, W, 3]. */
  readonly lastLayer: Conv2d;

  constructor(config: VqvaeConfig, context: BlockContext) {
    super();
    const { channels, channelMultipliers, residualBlocks, attention, codeWidth } = config;
    const widths = channelMultipliers.map((multiplier) => channels * multiplier);
    const last = widths.length - 1;
    this.convIn = this.child('conv_in', convolution(context.random, { in: codeWidth, out: widths[last]! }));
    this.middle = this.child('mid', new Middle(widths[last]!, attention, context));
    this.levels = widths.toReversed().map((out, step) => {
      const i = last - step;
      const sides = { in: widths[i + 1] ?? out, out, blocks: residualBlocks + 1, attentive: attention && i === last };
      const level = this.child(`up.${i}`, new Level(sides, context));
      return { level, up: i > 0 ? this.child(`up.${i}.upsample`, new Upsample(out, context)) : undefined };
    });
    this.norm = this.child('norm_out', new GroupNorm({ channels: widths[0]!, groups: context.normGroups }));
    this.lastLayer = this.child('conv_out', convolution(context.random, { in: widths[0]!, out: 3 }));
  }

  forward(z_BhwZ: Tensor): Tensor {
    return this.lastLayer.forward(this.features(z_BhwZ));
  }

  /** What the last layer reads. [B, h, w, Z] -> [B, H, W, C]. */
  features(z_BhwZ: Tensor): Tensor {
    let h = this.middle.forward(this.convIn.forward(z_BhwZ));
    for (const { level, up } of this.levels) {
      h = level.forward(h);
      if (up) h = up.forward(h);
    }
    return this.norm.forward(h, 'silu');
  }
}

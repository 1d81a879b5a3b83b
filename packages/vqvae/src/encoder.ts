import { type Conv2d, GroupNorm, Module, type Tensor } from '@star-webgpu/tensor-webgpu';
import { type BlockContext, convolution, Downsample, Level, Middle } from './blocks.ts';
import type { VqvaeConfig } from './config.ts';

/** Pictures to latents. x: [B, H, W, 3] in [-1, 1] -> [B, h, w, Z]. */
export class Encoder extends Module {
  private readonly convIn: Conv2d;
  private readonly levels: readonly { readonly level: Level; readonly down: Downsample | undefined }[];
  private readonly middle: Middle;
  private readonly norm: GroupNorm;
  private readonly convOut: Conv2d;

  constructor(config: VqvaeConfig, context: BlockContext) {
    super();
    const { channels, channelMultipliers, residualBlocks, attention, codeWidth } = config;
    const widths = channelMultipliers.map((multiplier) => channels * multiplier);
    const last = widths.length - 1;
    this.convIn = this.child('conv_in', convolution(context.random, { in: 3, out: channels }));
    this.levels = widths.map((out, i) => {
      const sides = { in: widths[i - 1] ?? channels, out, blocks: residualBlocks, attentive: attention && i === last };
      const level = this.child(`down.${i}`, new Level(sides, context));
      return { level, down: i < last ? this.child(`down.${i}.downsample`, new Downsample(out, context)) : undefined };
    });
    const width = widths[last]!;
    this.middle = this.child('mid', new Middle(width, attention, context));
    this.norm = this.child('norm_out', new GroupNorm({ channels: width, groups: context.normGroups }));
    this.convOut = this.child('conv_out', convolution(context.random, { in: width, out: codeWidth }));
  }

  forward(x_BHW3: Tensor): Tensor {
    let h = this.convIn.forward(x_BHW3);
    for (const { level, down } of this.levels) {
      h = level.forward(h);
      if (down) h = down.forward(h);
    }
    return this.convOut.forward(this.norm.forward(this.middle.forward(h), 'silu'));
  }
}

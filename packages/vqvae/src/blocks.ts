import {
  add,
  attention,
  Conv2d,
  GroupNorm,
  type HostRandom,
  initFanIn,
  Module,
  type Padding,
  reshape,
  slice,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';

/** What every block is built from: random numbers for its initial weights, and the groups of its norms. */
export interface BlockContext {
  readonly random: HostRandom;
  readonly normGroups: number;
}

export interface ConvolutionSides {
  readonly in: number;
  readonly out: number;
  readonly kernel?: 1 | 3;
  readonly stride?: number;
  readonly padding?: Padding;
  readonly upsample?: 1 | 2;
}

/** A convolution, 3x3 by default, with PyTorch's initial values: uniform within 1 / sqrt(fan in). */
export function convolution(random: HostRandom, { kernel = 3, ...sides }: ConvolutionSides): Conv2d {
  const init = initFanIn(random, sides.in * kernel * kernel);
  return new Conv2d({ ...sides, kernel, init, biasInit: init });
}

/** x + conv(silu(norm(conv(silu(norm(x)))))), through a 1x1 convolution where widths differ. x: [B, h, w, in] -> [B, h, w, out]. */
export class ResidualBlock extends Module {
  private readonly norm1: GroupNorm;
  private readonly conv1: Conv2d;
  private readonly norm2: GroupNorm;
  private readonly conv2: Conv2d;
  private readonly shortcut: Conv2d | undefined;

  constructor(width: { readonly in: number; readonly out: number }, { random, normGroups }: BlockContext) {
    super();
    this.norm1 = this.child('norm1', new GroupNorm({ channels: width.in, groups: normGroups }));
    this.conv1 = this.child('conv1', convolution(random, width));
    this.norm2 = this.child('norm2', new GroupNorm({ channels: width.out, groups: normGroups }));
    this.conv2 = this.child('conv2', convolution(random, { in: width.out, out: width.out }));
    if (width.in !== width.out)
      this.shortcut = this.child('nin_shortcut', convolution(random, { ...width, kernel: 1 }));
  }

  forward(x_BhwC: Tensor): Tensor {
    const inner = this.conv1.forward(this.norm1.forward(x_BhwC, 'silu'));
    const residual = this.conv2.forward(this.norm2.forward(inner, 'silu'));
    return add(this.shortcut ? this.shortcut.forward(x_BhwC) : x_BhwC, residual);
  }
}

/** x + attention of one head over all positions. x: [B, h, w, C] -> [B, h, w, C]. */
export class AttentionBlock extends Module {
  private readonly norm: GroupNorm;
  private readonly qkv: Conv2d;
  private readonly project: Conv2d;

  constructor(width: number, { random, normGroups }: BlockContext) {
    super();
    this.norm = this.child('norm', new GroupNorm({ channels: width, groups: normGroups }));
    this.qkv = this.child('qkv', convolution(random, { in: width, out: 3 * width, kernel: 1 }));
    this.project = this.child('proj_out', convolution(random, { in: width, out: width, kernel: 1 }));
  }

  forward(x_BhwC: Tensor): Tensor {
    const [B, h, w, C] = x_BhwC.shape as [number, number, number, number];
    const qkv_BhwC = this.qkv.forward(this.norm.forward(x_BhwC));
    const head = (part: number): Tensor => reshape(slice(qkv_BhwC, 3, part * C, (part + 1) * C), [B, h * w, 1, C]);
    const mixed_BhwC = reshape(attention(head(0), head(1), head(2), { scale: C ** -0.5 }), x_BhwC.shape);
    return add(x_BhwC, this.project.forward(mixed_BhwC));
  }
}

/** Halves the sides: a 3x3 convolution of stride 2 after one zero row and column at the bottom and the right. */
export class Downsample extends Module {
  private readonly conv: Conv2d;

  constructor(width: number, { random }: BlockContext) {
    super();
    const sides = { in: width, out: width, stride: 2, padding: [0, 1, 1, 0] } as const;
    this.conv = this.child('conv', convolution(random, sides));
  }

  forward(x_BhwC: Tensor): Tensor {
    return this.conv.forward(x_BhwC);
  }
}

/** Doubles the sides: every pixel repeated, then a 3x3 convolution. */
export class Upsample extends Module {
  private readonly conv: Conv2d;

  constructor(width: number, { random }: BlockContext) {
    super();
    this.conv = this.child('conv', convolution(random, { in: width, out: width, upsample: 2 }));
  }

  forward(x_BhwC: Tensor): Tensor {
    return this.conv.forward(x_BhwC);
  }
}

/** Residual block, attention, residual block at the narrowest place. */
export class Middle extends Module {
  private readonly first: ResidualBlock;
  private readonly mix: AttentionBlock | undefined;
  private readonly second: ResidualBlock;

  constructor(width: number, attentive: boolean, context: BlockContext) {
    super();
    this.first = this.child('block_1', new ResidualBlock({ in: width, out: width }, context));
    if (attentive) this.mix = this.child('attn_1', new AttentionBlock(width, context));
    this.second = this.child('block_2', new ResidualBlock({ in: width, out: width }, context));
  }

  forward(x_BhwC: Tensor): Tensor {
    const h = this.first.forward(x_BhwC);
    return this.second.forward(this.mix ? this.mix.forward(h) : h);
  }
}

/** Residual blocks of one level, each followed by attention where the level has it. */
export class Level extends Module {
  private readonly blocks: readonly ResidualBlock[];
  private readonly mixes: readonly AttentionBlock[];

  constructor(
    { blocks, attentive, ...width }: { in: number; out: number; blocks: number; attentive: boolean },
    context: BlockContext,
  ) {
    super();
    this.blocks = Array.from({ length: blocks }, (_, j) =>
      this.child(`block.${j}`, new ResidualBlock({ in: j ? width.out : width.in, out: width.out }, context)),
    );
    this.mixes = Array.from({ length: attentive ? blocks : 0 }, (_, j) =>
      this.child(`attn.${j}`, new AttentionBlock(width.out, context)),
    );
  }

  forward(x_BhwC: Tensor): Tensor {
    return this.blocks.reduce((x, block, j) => {
      const y = block.forward(x);
      return this.mixes[j] ? this.mixes[j].forward(y) : y;
    }, x_BhwC);
  }
}

import {
  averagePool2d,
  concat,
  contiguous,
  conv2d,
  initZeros,
  Linear,
  linear,
  maxPool2d,
  mean,
  Module,
  noGrad,
  permute,
  resizeBilinear,
  sub,
  mul,
  type Tensor,
} from '@star-webgpu/tensor-webgpu';
import type { InceptionConfig } from './config.ts';
import {
  type Block,
  type Branch,
  type BranchPool,
  inceptionLayout,
  type InceptionLayout,
  type Unit,
} from './layout.ts';

/** Where features are taken: means over the picture of 64, 192, 768 and 2048 published channels, and the classes' logits. */
export const inceptionTaps = ['pool64', 'pool192', 'pool768', 'pool2048', 'logits', 'logitsWithoutBias'] as const;
/** A layer of the Inception network that features are taken from. */
export type InceptionTap = (typeof inceptionTaps)[number];

/** Features of B pictures by tap. [B, channels] each. */
export type InceptionFeatures = Partial<Record<InceptionTap, Tensor>>;

/** relu(x * weight + bias), batch norm folded in. Parameters `weight` [kh, kw, I, O], for 1x1 windows [O, I, 1, 1], and `bias` [O]. */
class ConvUnit extends Module {
  private readonly weight: Tensor;
  private readonly bias: Tensor;
  private readonly unit: Unit;

  constructor(unit: Unit) {
    super();
    this.unit = unit;
    this.weight = this.parameter('weight', storedShape(unit), initZeros);
    this.bias = this.parameter('bias', [unit.out], initZeros);
  }

  forward(x: Tensor): Tensor {
    const { kernel, stride, same } = this.unit;
    const [up, aside] = same ? kernel.map((side) => (side - 1) / 2) : [0, 0];
    const weight = isPointwise(this.unit) ? this.weight : permute(this.weight, [3, 2, 0, 1]);
    const padding = up || aside ? ([up!, aside!, up!, aside!] as const) : 0;
    return conv2d(x, weight, { bias: this.bias, stride, padding, activation: 'relu' });
  }
}

const isPointwise = ({ kernel: [height, width] }: Unit): boolean => height * width === 1;

/** Shape in which a unit's weight lies on the device, as its product reads it. */
export function storedShape(unit: Unit): readonly number[] {
  const { in: I, out: O, kernel } = unit;
  return isPointwise(unit) ? [O, I, 1, 1] : [...kernel, I, O];
}

/** The Inception-v3 network of the Frechet distance, with pytorch-fid's changes. Batch norm is folded into its convolutions. */
export class Inception extends Module {
  readonly config: InceptionConfig;
  private readonly layout: InceptionLayout;
  private readonly units = new Map<Unit, ConvUnit>();
  private readonly classify: Linear;

  /** Weights are zero until `load`; `loadInception` reads published ones. */
  constructor(config: InceptionConfig) {
    super();
    this.config = config;
    this.layout = inceptionLayout(config);
    const { stem, widen, middle, last, features } = this.layout;
    for (const unit of [...stem, ...widen]) this.add(unit);
    for (const { branches } of [...middle, ...last])
      for (const { units, split = [] } of branches) for (const unit of [...units, ...split]) this.add(unit);
    this.classify = this.child('fc', new Linear({ in: features, out: config.classes, init: initZeros }));
  }

  private add(unit: Unit): void {
    this.units.set(unit, this.child(unit.name, new ConvUnit(unit)));
  }

  /** Features at some taps; nothing behind the last of them is computed. images: [B, H, W, 3] in 0..1. Not recorded. */
  forward(images_BHW3: Tensor, taps: readonly InceptionTap[]): InceptionFeatures {
    return noGrad(() => this.collect(images_BHW3, new Set(taps)));
  }

  private collect(images_BHW3: Tensor, taps: ReadonlySet<InceptionTap>): InceptionFeatures {
    const { side } = this.config;
    const { stem, widen, middle, last } = this.layout;
    const found: InceptionFeatures = {};
    const stages: readonly (readonly [InceptionTap, (x: Tensor) => Tensor])[] = [
      ['pool64', (x) => maxPool2d(this.chain(x, stem), { size: 3, stride: 2 })],
      ['pool192', (x) => maxPool2d(this.chain(x, widen), { size: 3, stride: 2 })],
      ['pool768', (x) => this.blocks(x, middle)],
      ['pool2048', (x) => this.blocks(x, last)],
    ];
    let x = sub(mul(resizeBilinear(images_BHW3, [side, side]), 2), 1);
    const deepest = deepestOf(taps);
    for (const [tap, run] of stages.slice(0, deepest + 1)) {
      x = run(x);
      if (taps.has(tap)) found[tap] = overPicture(x);
    }
    if (taps.has('logits')) found.logits = this.classify.forward(overPicture(x));
    if (taps.has('logitsWithoutBias')) found.logitsWithoutBias = linear(overPicture(x), this.classify.weight);
    return found;
  }

  private chain(x: Tensor, units: readonly Unit[]): Tensor {
    return units.reduce((value, unit) => this.units.get(unit)!.forward(value), x);
  }

  private blocks(x: Tensor, blocks: readonly Block[]): Tensor {
    return blocks.reduce(
      (value, { branches }) =>
        concat(
          branches.flatMap((branch) => this.branch(value, branch)),
          3,
        ),
      x,
    );
  }

  private branch(x: Tensor, { pool, units, split }: Branch): Tensor[] {
    const end = this.chain(pool ? pooled(x, pool) : x, units);
    return split ? split.map((unit) => this.units.get(unit)!.forward(end)) : [end];
  }
}

/** Mean over a picture's pixels. [B, h, w, C] -> [B, C]. */
const overPicture = (x: Tensor): Tensor => contiguous(mean(x, { axis: [1, 2] }));

const deepestOf = (taps: ReadonlySet<InceptionTap>): number =>
  Math.max(...[...taps].map((tap) => Math.min(3, inceptionTaps.indexOf(tap))));

const pooled = (x: Tensor, pool: BranchPool): Tensor => {
  if (pool === 'max-stride-2') return maxPool2d(x, { size: 3, stride: 2 });
  return (pool === 'max' ? maxPool2d : averagePool2d)(x, { size: 3, stride: 1, padding: 1 });
};

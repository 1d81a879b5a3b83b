import {
  add,
  conv2d,
  div,
  initZeros,
  l2Normalize,
  linear,
  maxPool2d,
  mean,
  Module,
  noGrad,
  readSafetensors,
  reshape,
  scope,
  square,
  sub,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import { checkPair, type Picture, type Stream } from '../picture.ts';
import { readJson, type ReadFile } from '../read-file.ts';
import { type LpipsConfig, lpipsConfig, lpipsStages, type LpipsStage, type LpipsUnit } from './config.ts';

/** Means and deviations that the metric takes from pictures in -1..1. */
const shift = [-0.03, -0.088, -0.188] as const;
const scale = [0.458, 0.448, 0.45] as const;

/** relu(x * weight + bias), with torchvision's names. */
class Convolution extends Module {
  private readonly weight: Tensor;
  private readonly bias: Tensor;
  private readonly unit: LpipsUnit;

  constructor(unit: LpipsUnit) {
    super();
    const { in: I, out: O, kernel } = unit;
    this.unit = unit;
    this.weight = this.parameter('weight', [O, I, kernel, kernel], initZeros);
    this.bias = this.parameter('bias', [O], initZeros);
  }

  forward(x: Tensor): Tensor {
    const { stride, padding } = this.unit;
    return conv2d(x, this.weight, { bias: this.bias, stride, padding, activation: 'relu' });
  }
}

/** A learned perceptual distance (Zhang et al., 2018), version 0.1: `features.N` of torchvision's network and `lin0` .. `lin4`. */
export class Lpips extends Module {
  readonly config: LpipsConfig;
  private readonly stages: readonly (LpipsStage & {
    readonly layers: readonly Convolution[];
    readonly shares: Tensor;
  })[];

  /** Weights are zero until `load`; `loadLpips` reads published ones. */
  constructor(config: LpipsConfig) {
    super();
    this.config = config;
    this.stages = lpipsStages(config).map((stage, i) => ({
      ...stage,
      layers: stage.units.map((unit) => this.child(`features.${unit.index}`, new Convolution(unit))),
      shares: this.parameter(`lin${i}.model.1.weight`, [1, stage.units.at(-1)!.out, 1, 1], initZeros),
    }));
  }

  /** Distances of B pairs, with gradients to what wants them: frozen, it serves as a loss. got, want: [B, H, W, 3] in -1..1 -> [B]. */
  forward(got_BHW3: Tensor, want_BHW3: Tensor): Tensor {
    const [got, want] = [this.directions(got_BHW3), this.directions(want_BHW3)];
    const distances = this.stages.map(({ shares }, i) => {
      const weighted = linear(square(sub(got[i]!, want[i]!)), reshape(shares, [1, shares.size]));
      return reshape(mean(weighted, { axis: [1, 2] }), [got_BHW3.shape[0]!]);
    });
    return distances.reduce((total, distance_B) => add(total, distance_B));
  }

  /** The features of each stage as vectors of length one. */
  private directions(x_BHW3: Tensor): Tensor[] {
    let x = div(sub(x_BHW3, tensor(shift, [3])), tensor(scale, [3]));
    return this.stages.map(({ pool, layers }) => {
      x = layers.reduce((value, layer) => layer.forward(value), pool ? maxPool2d(x, { size: pool, stride: 2 }) : x);
      return l2Normalize(x, { eps: 1e-10 });
    });
  }
}

/**
 * The network from a folder: `config.json` ({"network": "alexnet" or "vgg16"}) and `model.safetensors` with torchvision's `features.*` and the
 * five `lin*.model.1.weight` of the lpips package. @throws MetricError, SafetensorsError or WeightsError, each naming what is wrong.
 */
export async function loadLpips(read: ReadFile): Promise<Lpips> {
  const config = lpipsConfig(await readJson('loadLpips', read, 'config.json'));
  const weights = readSafetensors(await read('model.safetensors'));
  const model = new Lpips(config);
  try {
    return model.load(weights, { ignore: /^classifier\./ }).freeze();
  } catch (fault) {
    model.dispose();
    throw fault;
  }
}

/** Distances of pairs of one size each, one after the other. @throws MetricError if a pair's sizes differ. */
export async function* lpips(
  model: Lpips,
  pairs: Stream<readonly [got: Picture, want: Picture]>,
): AsyncGenerator<number> {
  for await (const [got, want] of pairs) {
    checkPair('lpips', got, want);
    const distance = scope(() => noGrad(() => model.forward(upload(got), upload(want))));
    const value = await distance.item();
    distance.dispose();
    yield value;
  }
}

const upload = ({ width, height, data }: Picture): Tensor =>
  tensor(
    Float32Array.from(data, (byte) => byte / 127.5 - 1),
    [1, height, width, 3],
  );

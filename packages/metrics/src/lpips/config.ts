import { MetricError } from '../picture.ts';

/** Which network sees the pictures. */
export interface LpipsConfig {
  readonly network: 'alexnet' | 'vgg16';
  /** Every width is divided by this: 1, 2, 4, 8 or 16. Small networks of the same form are for tests. */
  readonly channelDivisor: number;
}

/** Fills what is left out (AlexNet, undivided) and checks the rest. @throws MetricError listing every fault. */
export function lpipsConfig(given: Partial<LpipsConfig> = {}): LpipsConfig {
  const config: LpipsConfig = { network: 'alexnet', channelDivisor: 1, ...given };
  const faults = Object.keys(given)
    .filter((key) => key !== 'network' && key !== 'channelDivisor')
    .map((key) => `unknown field ${key}`);
  if (config.network !== 'alexnet' && config.network !== 'vgg16')
    faults.push(`network ${JSON.stringify(config.network)} instead of "alexnet" or "vgg16"`);
  if (![1, 2, 4, 8, 16].includes(config.channelDivisor))
    faults.push(`channelDivisor ${JSON.stringify(config.channelDivisor)} instead of 1, 2, 4, 8 or 16`);
  if (!faults.length) return config;
  throw new MetricError('lpips', `config must be valid, got ${faults.join('; ')}. Correct these fields.`);
}

/** A convolution with ReLU at its place in torchvision's `features`. */
export interface LpipsUnit {
  readonly index: number;
  readonly in: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/** Units up to a compared layer, behind a pooling window at stride 2 where one comes first. */
export interface LpipsStage {
  readonly pool?: number;
  readonly units: readonly LpipsUnit[];
}

type Step = readonly [index: number, out: number];

const plain = { kernel: 3, stride: 1, padding: 1 } as const;

/** The five stages of a network, each compared at its end. */
export function lpipsStages({ network, channelDivisor }: LpipsConfig): LpipsStage[] {
  const stages = network === 'alexnet' ? alexnet : vgg16;
  let channels = 3;
  return stages.map(({ pool, steps, window = plain }) => ({
    ...(pool && { pool }),
    units: steps.map(([index, published]) => {
      const unit = { index, in: channels, out: published / channelDivisor, ...window };
      channels = unit.out;
      return unit;
    }),
  }));
}

interface Plan {
  readonly pool?: number;
  readonly steps: readonly Step[];
  readonly window?: { readonly kernel: number; readonly stride: number; readonly padding: number };
}

const alexnet: readonly Plan[] = [
  { steps: [[0, 64]], window: { kernel: 11, stride: 4, padding: 2 } },
  { pool: 3, steps: [[3, 192]], window: { kernel: 5, stride: 1, padding: 2 } },
  { pool: 3, steps: [[6, 384]] },
  { steps: [[8, 256]] },
  { steps: [[10, 256]] },
];

const vgg16: readonly Plan[] = [
  { steps: [0, 2].map((index): Step => [index, 64]) },
  { pool: 2, steps: [5, 7].map((index): Step => [index, 128]) },
  { pool: 2, steps: [10, 12, 14].map((index): Step => [index, 256]) },
  { pool: 2, steps: [17, 19, 21].map((index): Step => [index, 512]) },
  { pool: 2, steps: [24, 26, 28].map((index): Step => [index, 512]) },
];

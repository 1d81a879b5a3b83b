import { MetricError } from '../picture.ts';

/** Sizes of an Inception network; the defaults are those of the published FID weights. */
export interface InceptionConfig {
  /** Side to which pictures are resized, in pixels; at least 75. */
  readonly side: number;
  /** Outputs of the last layer. */
  readonly classes: number;
  /** Every width is divided by this; 1, 2, 4, 8 or 16. Small networks of the same form are for tests. */
  readonly channelDivisor: number;
  /** Added to variances where batch norm is folded into convolutions. */
  readonly normEpsilon: number;
}

/** The network of pytorch-fid's `pt_inception-2015-12-05-6726825d.pth`. */
export const publishedInceptionConfig: InceptionConfig = {
  side: 299,
  classes: 1008,
  channelDivisor: 1,
  normEpsilon: 1e-3,
};

const rules: readonly (readonly [keyof InceptionConfig, string, (value: number) => boolean])[] = [
  ['side', 'an integer of at least 75', (value) => Number.isInteger(value) && value >= 75],
  ['classes', 'a positive integer', (value) => Number.isInteger(value) && value > 0],
  ['channelDivisor', '1, 2, 4, 8 or 16', (value) => [1, 2, 4, 8, 16].includes(value)],
  ['normEpsilon', 'a positive number', (value) => value > 0],
];

/** Fills what is left out with the published values and checks the rest. @throws MetricError listing every fault. */
export function inceptionConfig(given: Partial<InceptionConfig> = {}): InceptionConfig {
  const config = { ...publishedInceptionConfig, ...given };
  const unknown = Object.keys(given).filter((key) => !(key in publishedInceptionConfig));
  const broken = rules
    .filter(([field, , holds]) => !holds(config[field]))
    .map(([field, condition]) => `${field} ${JSON.stringify(config[field])} instead of ${condition}`);
  const faults = [...unknown.map((key) => `unknown field ${key}`), ...broken];
  if (!faults.length) return config;
  throw new MetricError('inception', `config must be valid, got ${faults.join('; ')}. Correct these fields.`);
}

import { latentSize, patchNumberPresets, type Ratio } from './scales.ts';

/** Sizes and options of a VQVAE; the defaults are those of the published model. */
export interface VqvaeConfig {
  /** Width of the first level. */
  readonly channels: number;
  /** Width of each level as a multiple of `channels`; every level but the last halves the picture. */
  readonly channelMultipliers: readonly number[];
  /** Residual blocks a level in the encoder; the decoder has one more. */
  readonly residualBlocks: number;
  /** Self-attention in the middle and at the last level. */
  readonly attention: boolean;
  /** Groups of every group normalisation. */
  readonly normGroups: number;
  /** Rows of the codebook (V). */
  readonly codebookSize: number;
  /** Width of a code (Z). */
  readonly codeWidth: number;
  /** Sides of the token maps, coarse to fine; the last is the side of the latent map. */
  readonly patchNumbers: readonly number[];
  /** Phi convolutions shared by the scales; 1 shares one, 0 gives each scale its own. */
  readonly phis: number;
  /** Share of the convolution in phi(x) = (1 - share) x + share conv(x). */
  readonly phiShare: number;
  /** Weight of the commitment loss. */
  readonly beta: number;
  /** Looks codes up by the cosine instead of the distance. */
  readonly cosineLookup: boolean;
}

/** The published VQVAE (`vae_ch160v4096z32`) at 256 px. */
export const publishedConfig: VqvaeConfig = {
  channels: 160,
  channelMultipliers: [1, 1, 2, 2, 4],
  residualBlocks: 2,
  attention: true,
  normGroups: 32,
  codebookSize: 4096,
  codeWidth: 32,
  patchNumbers: patchNumberPresets['256'],
  phis: 4,
  phiShare: 0.5,
  beta: 0.25,
  cosineLookup: false,
};

/** A config that cannot be built; lists every fault at once. */
export class VqvaeConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`vqvae: config must be valid, got ${faults.join('; ')}. Correct these fields.`);
    this.name = 'VqvaeConfigError';
    this.faults = faults;
  }
}

/** Fills what is left out with the published values and checks the rest. @throws VqvaeConfigError listing every fault. */
export function vqvaeConfig(given: Partial<VqvaeConfig>): VqvaeConfig {
  const config = { ...publishedConfig, ...given };
  const unknown = Object.keys(given).filter((key) => !(key in publishedConfig));
  const faults = [...unknown.map((key) => `unknown field ${key}`), ...fieldFaults(config)];
  if (!faults.length) faults.push(...widthFaults(config));
  if (faults.length) throw new VqvaeConfigError(faults);
  return config;
}

/** Pixels of the picture along each side of the finest token. */
export const downsampleFactor = ({ channelMultipliers }: VqvaeConfig): number => 2 ** (channelMultipliers.length - 1);

/** Side in pixels of the square pictures that a config is for. */
export const imageSide = (config: VqvaeConfig): number => downsampleFactor(config) * config.patchNumbers.at(-1)!;

/** Height and width in pixels of the pictures that a config is for, at a ratio. */
export function imageSize(
  config: VqvaeConfig,
  ratio: Ratio = '1:1',
): { readonly height: number; readonly width: number } {
  const { height, width } = latentSize(config.patchNumbers, ratio);
  return { height: height * downsampleFactor(config), width: width * downsampleFactor(config) };
}

const isCount = (value: unknown, least: number): boolean => Number.isInteger(value) && (value as number) >= least;
const isCounts = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((item) => isCount(item, 1));
const isRising = (values: readonly number[]): boolean => values.every((side, i) => i === 0 || side > values[i - 1]!);

type Rule = readonly [holds: (config: VqvaeConfig) => boolean, field: keyof VqvaeConfig, condition: string];

const count = (field: keyof VqvaeConfig, least = 1): Rule => [
  (config) => isCount(config[field], least),
  field,
  `an integer of at least ${least}`,
];

const rules: readonly Rule[] = [
  count('channels'),
  [(config) => isCounts(config.channelMultipliers), 'channelMultipliers', 'a list of positive integers'],
  count('residualBlocks'),
  [(config) => typeof config.attention === 'boolean', 'attention', 'true or false'],
  count('normGroups'),
  count('codebookSize', 2),
  [(config) => isCount(config.codeWidth, 4) && config.codeWidth % 4 === 0, 'codeWidth', 'a positive multiple of 4'],
  [
    (config) => isCounts(config.patchNumbers) && isRising(config.patchNumbers),
    'patchNumbers',
    'a rising list of positive integers',
  ],
  count('phis', 0),
  [(config) => Number.isFinite(config.phiShare), 'phiShare', 'a number'],
  [(config) => Number.isFinite(config.beta) && config.beta >= 0, 'beta', 'a number of at least 0'],
  [(config) => typeof config.cosineLookup === 'boolean', 'cosineLookup', 'true or false'],
];

const fieldFaults = (config: VqvaeConfig): string[] =>
  rules
    .filter(([holds]) => !holds(config))
    .map(([, field, condition]) => `${field} ${JSON.stringify(config[field])} instead of ${condition}`);

/** Widths must be whole vectors and whole groups. */
const widthFaults = ({ channels, channelMultipliers, normGroups }: VqvaeConfig): string[] =>
  [...new Set(channelMultipliers)]
    .map((multiplier) => channels * multiplier)
    .filter((width) => width % 4 !== 0 || width % normGroups !== 0)
    .map((width) => `width ${width} instead of a multiple of 4 and of normGroups ${normGroups}`);

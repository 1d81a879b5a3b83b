import { patchNumberPresets } from '@star-webgpu/vqvae/scales';

/** The second head that predicts a scale again in a few steps (STAR, section 3.4: causal-driven stable sampling). */
export interface RefinerConfig {
  /** Number of its blocks. */
  readonly depth: number;
  /** Index of the first scale that it predicts; all later ones follow. */
  readonly sampleFrom: number;
}

/** Sizes and options of a STAR transformer. */
export interface StarConfig {
  /** Sides of the square token maps, coarse to fine (S of them). */
  readonly patchNumbers: readonly number[];
  /** Number of blocks. */
  readonly depth: number;
  /** Width of the residual stream (C). */
  readonly width: number;
  /** Attention heads (N); width / heads is a multiple of 4. */
  readonly heads: number;
  /** Hidden width of the feed-forward part as a multiple of the width. */
  readonly mlpRatio: number;
  /** Width of the text states (D). */
  readonly textWidth: number;
  /** Width of a code (Z). */
  readonly codeWidth: number;
  /** Rows of the codebook (V). */
  readonly codebookSize: number;
  /** Whose text a batch element attends to: its own, or, as the released code does, the first element's. */
  readonly crossAttention: 'per-sample' | 'first-sample';
  /** Probability of dropping the last block's branches in training; earlier blocks drop linearly less. */
  readonly dropPath: number;
  /** The model has a refiner; without this it has none. */
  readonly refiner?: RefinerConfig;
}

/** The refiner of the published models: three blocks, from the tenth scale on. */
export const publishedRefiner: RefinerConfig = { depth: 3, sampleFrom: 9 };

/** Epsilon of every layer norm. */
export const normEpsilon = 1e-6;

/** Coordinates of every scale span 0..ropeSpan (normalised 2-D RoPE). */
export const ropeSpan = 64;

/** Base of the rotary frequencies. */
export const ropeTheta = 10_000;

/** Width, heads and drop path of the published models follow from the depth. */
const ofDepth = (depth: number): Pick<StarConfig, 'depth' | 'width' | 'heads' | 'dropPath'> => ({
  depth,
  width: 64 * depth,
  heads: depth,
  dropPath: (0.1 * depth) / 24,
});

const ofPublished = (px: keyof typeof patchNumberPresets, depth: number): Omit<StarConfig, 'crossAttention'> => ({
  ...ofDepth(depth),
  patchNumbers: patchNumberPresets[px],
  mlpRatio: 4,
  textWidth: 1024,
  codeWidth: 32,
  codebookSize: 4096,
});

type PublishedName = 'star-256-d16' | 'star-256-d30' | 'star-512-d30' | 'star-1024-d30' | 'star-1024-d30-refiner';

const publishedSizes: Readonly<Record<PublishedName, Omit<StarConfig, 'crossAttention'>>> = {
  'star-256-d16': ofPublished('256', 16),
  'star-256-d30': ofPublished('256', 30),
  'star-512-d30': ofPublished('512', 30),
  'star-1024-d30': ofPublished('1024', 30),
  'star-1024-d30-refiner': { ...ofPublished('1024', 30), refiner: publishedRefiner },
};

/** Name of a published size: as released, or with `-per-sample` for a new training. */
export type StarPreset = PublishedName | `${PublishedName}-per-sample`;

/** The published names, from small to large. */
const publishedNames = Object.keys(publishedSizes) as PublishedName[];

/**
 * The published sizes by name. Those of the released weights behave as the released code does: all of a batch attend to its first
 * element's text. For a new training take the same with `-per-sample`: each element attends to its own.
 */
export const starPresets: Readonly<Record<StarPreset, StarConfig>> = Object.fromEntries(
  publishedNames.flatMap((name) => [
    [name, { ...publishedSizes[name], crossAttention: 'first-sample' }],
    [`${name}-per-sample`, { ...publishedSizes[name], crossAttention: 'per-sample' }],
  ]),
) as Record<StarPreset, StarConfig>;

/** A config that cannot be built; lists every fault at once. */
export class StarConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`star: config must be valid, got ${faults.join('; ')}. Correct these fields.`);
    this.name = 'StarConfigError';
    this.faults = faults;
  }
}

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0;

const isRefiner = ({ depth, sampleFrom, ...unknown }: RefinerConfig, scales: number): boolean =>
  isCount(depth) &&
  Number.isInteger(sampleFrom) &&
  sampleFrom >= 0 &&
  sampleFrom < scales &&
  Object.keys(unknown).length === 0;

type Rule = readonly [field: keyof StarConfig, condition: string, holds: (config: StarConfig) => boolean];

const rules: readonly Rule[] = [
  [
    'patchNumbers',
    'a rising list of positive integers',
    ({ patchNumbers: p }) =>
      Array.isArray(p) && p.length > 0 && p.every((side, i) => isCount(side) && (i === 0 || side > p[i - 1]!)),
  ],
  ...(['depth', 'width', 'heads', 'textWidth', 'codeWidth', 'codebookSize'] as const).map((field): Rule => [
    field,
    'a positive integer',
    (config) => isCount(config[field]),
  ]),
  ['heads', 'a divisor of the width that leaves a multiple of 4', ({ width, heads }) => (width / heads) % 4 === 0],
  ['mlpRatio', 'a positive number', ({ mlpRatio }) => mlpRatio > 0],
  [
    'crossAttention',
    '"per-sample" or "first-sample"',
    ({ crossAttention: c }) => c === 'per-sample' || c === 'first-sample',
  ],
  ['dropPath', 'a number in 0..1', ({ dropPath }) => dropPath >= 0 && dropPath < 1],
  [
    'refiner',
    'a depth from 1 and the index of a scale to sample from',
    ({ refiner, patchNumbers: p }) => refiner === undefined || (Array.isArray(p) && isRefiner(refiner, p.length)),
  ],
];

/** Checks a config and fills in defaults. @throws StarConfigError listing every fault. */
export function starConfig(
  given: Omit<StarConfig, 'mlpRatio' | 'crossAttention' | 'dropPath'> & Partial<StarConfig>,
): StarConfig {
  const config: StarConfig = {
    mlpRatio: 4,
    crossAttention: 'per-sample',
    dropPath: (0.1 * given.depth) / 24,
    ...given,
  };
  const known = new Set<string>(Object.keys(starPresets['star-1024-d30-refiner']));
  const unknown = Object.keys(given)
    .filter((key) => !known.has(key))
    .map((key) => `unknown field ${key}`);
  const broken = rules
    .filter(([, , holds]) => !holds(config))
    .map(([field, condition]) => `${field} ${JSON.stringify(config[field])} instead of ${condition}`);
  if (unknown.length || broken.length) throw new StarConfigError([...unknown, ...broken]);
  return config;
}

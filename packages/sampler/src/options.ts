import { jsonFile } from '@star-webgpu/tensor-webgpu';
import { type Ratio, ratios } from '@star-webgpu/vqvae';
import { scaleRatio } from './guidance.ts';
import {
  isRefine,
  mostSteps,
  type RefineOptions,
  type ResolvedRefine,
  resolveRefine,
  type ScalesOf,
} from './refine-options.ts';

/** A number for all scales, or one for each. */
export type PerScale = number | readonly number[];

/** How guidance grows over the scales: `linear` from 0 at the first scale to its full strength at the last, as published, or `constant`. */
export type GuidanceSchedule = 'linear' | 'constant';

/**
 * Temperature that depends on how sure the model is of a token (Ma et al., arXiv 2510.09012): after top-k and top-p, logits are divided by
 * amplitude exp(-H / decay) + floor as well, H being the entropy in nats of what these have left. Sure tokens vary more, unsure ones less.
 */
export interface EntropyTemperature {
  /** How much is added for a token that is sure. */
  readonly amplitude: number;
  /** Entropy, in nats, behind which e-th part of that is left. */
  readonly decay: number;
  /** Least factor, for tokens that are not sure at all. */
  readonly floor: number;
}

/** How pictures are drawn; the defaults are those of the published demo, unless a pipeline's model has its own. */
export interface SamplingOptions {
  /** Strength of classifier-free guidance: of the schedule, or of each scale; 0 ignores the unconditional text. */
  readonly guidance?: PerScale;
  /** What a single guidance makes of the scales. */
  readonly guidanceSchedule?: GuidanceSchedule;
  /** Scales from this one on are not guided, and cost half. */
  readonly guidanceUntil?: number;
  /** Logits are divided by it before top-p looks at them: above 0; below 1 is tamer, above 1 wilder. */
  readonly temperature?: PerScale;
  /** Temperature by entropy, on top of the other; true takes the published numbers. */
  readonly entropyTemperature?: boolean | EntropyTemperature;
  /** Tokens kept for each draw, and ties of the last; 0 keeps all. */
  readonly topK?: PerScale;
  /** Share of the probability kept for each draw, from 0 to 1; 0 keeps all. */
  readonly topP?: PerScale;
  /** Mixes code vectors by softened probabilities instead of drawing one: smoother pictures. */
  readonly smooth?: boolean;
  /**
   * Draws the large scales of a model with a refiner in a few steps, as published, unless false. `smooth` leaves these scales alone.
   * A model without a refiner has no such steps.
   */
  readonly refine?: boolean | RefineOptions;
  /** Width to height of the pictures, of about as many pixels as square ones. */
  readonly ratio?: Ratio;
  /** One for each picture; a single number counts up from picture to picture. A picture depends on its own seed only. */
  readonly seed?: number | readonly number[];
  /** Stops between scales. */
  readonly signal?: AbortSignal;
}

/** Options with nothing left out, for so many pictures and scales; lists have a number a scale. */
export interface ResolvedOptions {
  readonly guidance: readonly number[];
  readonly temperature: readonly number[];
  readonly topK: readonly number[];
  readonly topP: readonly number[];
  readonly smooth: boolean;
  /** Which scales are drawn in steps, if any. */
  readonly refine: ResolvedRefine | undefined;
  /** Strength of guidance for the refiner's logits: the full one at every scale, where the main head's grows. */
  readonly refinedGuidance: readonly number[];
  readonly ratio: Ratio;
  readonly entropyTemperature: EntropyTemperature | undefined;
  readonly seeds: readonly number[];
  readonly signal: AbortSignal | undefined;
}

/** An option out of range; lists every fault at once. */
export class SamplingOptionsError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`generate: options must be in range, got ${faults.join('; ')}. Correct these options.`);
    this.name = 'SamplingOptionsError';
    this.faults = faults;
  }
}

/** The numbers of the paper's released code. */
const publishedEntropy: EntropyTemperature = { amplitude: 2.5, decay: 3, floor: 0.6 };

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isPositive = (value: unknown): boolean => Number.isFinite(value) && (value as number) > 0;
const isFromZero = (value: unknown): boolean => Number.isFinite(value) && (value as number) >= 0;

/** What a model is best drawn with, kept in its folder as sampling.json; options of a call go before. */
export type SamplingDefaults = Omit<SamplingOptions, 'seed' | 'signal'>;

type Rule = readonly [condition: string, holds: (value: unknown) => boolean];

/** A rule for a number that holds for each of a list as well. */
const everyScale = ([condition, holds]: Rule): Rule => [
  `${condition}, or a list of such`,
  (value) => (Array.isArray(value) ? value.length > 0 && value.every(holds) : holds(value)),
];

const rules: Readonly<Record<keyof SamplingDefaults, Rule>> = {
  guidance: everyScale(['a number from 0', isFromZero]),
  guidanceSchedule: ['"linear" or "constant"', (value) => value === 'linear' || value === 'constant'],
  guidanceUntil: ['a whole number from 0', isCount],
  temperature: everyScale(['a number above 0', isPositive]),
  entropyTemperature: ['true, false or { amplitude, decay, floor } above 0', isEntropyTemperature],
  topK: everyScale(['a whole number from 0', isCount]),
  topP: everyScale(['a number from 0 to 1', (value) => isFromZero(value) && (value as number) <= 1]),
  smooth: ['true or false', (value) => typeof value === 'boolean'],
  refine: [`true, false or { version: "1024" or "new", steps from 1 to ${mostSteps} }`, isRefine],
  ratio: [`one of ${ratios.join(', ')}`, (value) => (ratios as readonly unknown[]).includes(value)],
};

function isEntropyTemperature(value: unknown): boolean {
  if (typeof value === 'boolean') return true;
  if (typeof value !== 'object' || value === null) return false;
  const { amplitude, decay, floor, ...rest } = value as Record<string, unknown>;
  return isFromZero(amplitude) && isPositive(decay) && isPositive(floor) && Object.keys(rest).length === 0;
}

const shown = (value: unknown): string => (typeof value === 'number' ? String(value) : JSON.stringify(value));

/** A line for each option that breaks its rule. */
const brokenRules = (options: SamplingDefaults): string[] =>
  (Object.keys(rules) as (keyof typeof rules)[])
    .filter((name) => options[name] !== undefined && !rules[name][1](options[name]))
    .map((name) => `${name} ${shown(options[name])} instead of ${rules[name][0]}`);

/** Reads sampling.json. @throws SamplingOptionsError listing every entry that is unknown or out of range. */
export function parseSamplingDefaults(text: string): SamplingDefaults {
  const values = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(values)
    .filter((name) => !(name in rules))
    .map((name) => `${name} in sampling.json instead of ${Object.keys(rules).join(', ')}`);
  const faults = [...unknown, ...brokenRules(values)];
  if (faults.length) throw new SamplingOptionsError(faults);
  return values;
}

/** The file of a model's own defaults. */
export const samplingFile = (defaults: SamplingDefaults): readonly [path: string, bytes: Uint8Array] => [
  'sampling.json',
  jsonFile(defaults),
];

/** Fills in the defaults and checks ranges, for so many pictures and a transformer. @throws SamplingOptionsError listing every fault. */
export function resolveOptions(options: SamplingOptions, pictures: number, star: ScalesOf): ResolvedOptions {
  const scales = star.patchNumbers.length;
  const { seed = 42, signal, smooth = false, entropyTemperature: entropy = false } = options;
  const { temperature = 1, topK = 600, topP = 0.8, ratio = '1:1' } = options;
  const seeds = typeof seed === 'number' ? Array.from({ length: pictures }, (_, i) => seed + i) : seed;
  const faults = [
    ...brokenRules(options),
    ...listFaults(options, scales),
    ...refineFaults(options, star),
    ...seedFaults(seeds, pictures),
  ];
  if (faults.length) throw new SamplingOptionsError(faults);
  const spread = (value: PerScale): readonly number[] =>
    typeof value === 'number' ? new Array<number>(scales).fill(value) : value;
  return {
    guidance: guidanceOf(options, scales),
    temperature: spread(temperature),
    topK: spread(topK),
    topP: spread(topP),
    smooth,
    refine: resolveRefine(options.refine, star),
    refinedGuidance: guidanceOf({ ...options, guidanceSchedule: 'constant' }, scales),
    ratio,
    entropyTemperature: entropy === true ? publishedEntropy : entropy || undefined,
    seeds,
    signal,
  };
}

/** The strength of each scale; none from `guidanceUntil` on. */
function guidanceOf(options: SamplingOptions, scales: number): readonly number[] {
  const { guidance = 4, guidanceSchedule = 'linear', guidanceUntil = scales } = options;
  return Array.from({ length: scales }, (_, scale) => {
    if (scale >= guidanceUntil) return 0;
    if (typeof guidance !== 'number') return guidance[scale]!;
    return guidanceSchedule === 'constant' ? guidance : guidance * scaleRatio(scale, scales);
  });
}

const refineFaults = ({ refine }: SamplingOptions, { refiner }: ScalesOf): string[] =>
  refine && !refiner ? [`refine ${shown(refine)} instead of false, as the model has no refiner`] : [];

const listFaults = (options: SamplingOptions, scales: number): string[] =>
  (['guidance', 'temperature', 'topK', 'topP'] as const).flatMap((name) => {
    const value = options[name];
    return Array.isArray(value) && value.length !== scales
      ? [`${value.length} numbers of ${name} instead of ${scales}, one a scale`]
      : [];
  });

const seedFaults = (seeds: readonly number[], pictures: number): string[] => [
  ...(seeds.length === pictures ? [] : [`${seeds.length} seeds instead of ${pictures}, one a picture`]),
  ...seeds
    .filter((value) => !isCount(value))
    .map((value) => `seed ${value} instead of a whole number from 0 to 2^53 - 1`),
];

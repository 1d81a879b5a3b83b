/** How pictures are drawn; the defaults are those of the published demo, unless a pipeline's model has its own. */
export interface SamplingOptions {
  /** Strength of classifier-free guidance at the last scale; 0 ignores the unconditional text. */
  readonly guidance?: number;
  /** Tokens kept for each draw, and ties of the last; 0 keeps all. */
  readonly topK?: number;
  /** Share of the probability kept for each draw, from 0 to 1; 0 keeps all. */
  readonly topP?: number;
  /** Mixes code vectors by softened probabilities instead of drawing one: smoother pictures. */
  readonly smooth?: boolean;
  /** One for each picture; a single number counts up from picture to picture. A picture depends on its own seed only. */
  readonly seed?: number | readonly number[];
  /** Stops between scales. */
  readonly signal?: AbortSignal;
}

/** What a model is best drawn with, kept in its folder as sampling.json; options of a call go before. */
export type SamplingDefaults = Pick<SamplingOptions, 'guidance' | 'topK' | 'topP' | 'smooth'>;

const defaultTypes: Readonly<Record<keyof SamplingDefaults, 'number' | 'boolean'>> = {
  guidance: 'number',
  topK: 'number',
  topP: 'number',
  smooth: 'boolean',
};

/** Reads sampling.json. @throws SamplingOptionsError listing every entry that is unknown or out of range. */
export function parseSamplingDefaults(text: string): SamplingDefaults {
  const values = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const faults = Object.entries(values)
    .filter(([name, value]) => defaultTypes[name as keyof SamplingDefaults] !== typeof value)
    .map(
      ([name, value]) =>
        `${name} ${JSON.stringify(value)} in sampling.json instead of ${Object.keys(defaultTypes).join(', ')}`,
    );
  if (faults.length) throw new SamplingOptionsError(faults);
  resolveOptions(values, 1);
  return values;
}

/** The file of a model's own defaults. */
export const samplingFile = (defaults: SamplingDefaults): readonly [path: string, bytes: Uint8Array] => [
  'sampling.json',
  new TextEncoder().encode(`${JSON.stringify(defaults, null, 2)}\n`),
];

/** Options with nothing left out, for a batch of known size. */
export interface ResolvedOptions {
  readonly guidance: number;
  readonly topK: number;
  readonly topP: number;
  readonly smooth: boolean;
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

/** Fills in the defaults and checks ranges. @throws SamplingOptionsError listing every fault. */
export function resolveOptions(options: SamplingOptions, B: number): ResolvedOptions {
  const { guidance = 4, topK = 600, topP = 0.8, smooth = false, seed = 42, signal } = options;
  const seeds = typeof seed === 'number' ? Array.from({ length: B }, (_, i) => seed + i) : seed;
  const faults = [
    ...(Number.isFinite(guidance) && guidance >= 0 ? [] : [`guidance ${guidance} instead of a number from 0`]),
    ...(Number.isInteger(topK) && topK >= 0 ? [] : [`topK ${topK} instead of a whole number from 0`]),
    ...(topP >= 0 && topP <= 1 ? [] : [`topP ${topP} instead of a number from 0 to 1`]),
    ...(seeds.length === B ? [] : [`${seeds.length} seeds instead of ${B}, one a picture`]),
    ...seeds
      .filter((value) => !isSeed(value))
      .map((value) => `seed ${value} instead of a whole number from 0 to 2^53 - 1`),
  ];
  if (faults.length) throw new SamplingOptionsError(faults);
  return { guidance, topK, topP, smooth, seeds, signal };
}

const isSeed = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

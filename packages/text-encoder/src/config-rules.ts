/** A config that cannot be built; lists every fault at once. */
export class TextConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`text: config must be valid, got ${faults.join('; ')}. Correct these fields.`);
    this.name = 'TextConfigError';
    this.faults = faults;
  }
}

export const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0;

/** What a field must be, in words and as a test. */
export type Rule<Config> = readonly [
  field: keyof Config & string,
  condition: string,
  holds: (config: Config) => boolean,
];

/** Rules for fields that are positive integers. */
export const countRules = <Config>(fields: readonly (keyof Config & string)[]): Rule<Config>[] =>
  fields.map((field) => [field, 'a positive integer', (config) => isCount(config[field])]);

/** Fills what is left out with published values and checks the rest. @throws TextConfigError listing every fault. */
export function completeConfig<Config extends object>(
  given: Partial<Config>,
  published: Config,
  rules: readonly Rule<Config>[],
): Config {
  const config = { ...published, ...given };
  const unknown = Object.keys(given).filter((key) => !(key in published));
  const broken = rules
    .filter(([, , holds]) => !holds(config))
    .map(([field, condition]) => `${field} ${JSON.stringify(config[field])} instead of ${condition}`);
  if (unknown.length || broken.length)
    throw new TextConfigError([...unknown.map((key) => `unknown field ${key}`), ...broken]);
  return config;
}

/** Our field, its name in a Hugging Face `config.json`, and what is meant where that file leaves it out. */
export type StoredField<Config> = readonly [field: keyof Config & string, stored: string, missing: unknown];

/** Fields of a stored config by our names. */
export const readFields = <Config>(
  json: Readonly<Record<string, unknown>>,
  fields: readonly StoredField<Config>[],
): Partial<Config> =>
  Object.fromEntries(fields.map(([field, stored, missing]) => [field, json[stored] ?? missing])) as Partial<Config>;

/** Fields of a config by their stored names. */
export const writeFields = <Config>(config: Config, fields: readonly StoredField<Config>[]): Record<string, unknown> =>
  Object.fromEntries(fields.map(([field, stored]) => [stored, config[field]]));

import { z } from 'zod';
import { finetuneRun } from './finetune.ts';
import { refinerRun } from './refiner.ts';
import { type StarRun, starRun } from './star.ts';
import { type VqvaeRun, vqvaeRun } from './vqvae.ts';

/** What a training config may say. */
const trainConfigSchema = z.discriminatedUnion('stage', [vqvaeRun, starRun, refinerRun, finetuneRun]);

/** A training run, as configs/*.json describe it. */
export type TrainConfig = z.infer<typeof trainConfigSchema>;

/** A run of a stage that trains on tokens. */
export type TokenRun = Exclude<TrainConfig, { readonly stage: 'vqvae' }>;

/** A config with faults, all of them named. */
class ConfigError extends Error {
  constructor(file: string, faults: readonly string[]) {
    super(
      `${file} has ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    );
    this.name = 'ConfigError';
  }
}

/** Checks a config, after `path=value` overrides. @throws ConfigError listing every fault with its path. */
export function parseTrainConfig(file: string, text: string, overrides: readonly string[]): TrainConfig {
  const value = parseJson(file, text);
  const faults = overrides.flatMap((override) => applyOverride(value, override));
  const parsed = trainConfigSchema.safeParse(value);
  if (!parsed.success)
    faults.push(...parsed.error.issues.map(({ path, message }) => `${path.join('.') || '(root)'}: ${message}`));
  else faults.push(...contradictions(parsed.data));
  if (faults.length || !parsed.success) throw new ConfigError(file, faults);
  return parsed.data;
}

/** Faults of several fields together. */
function contradictions(config: TrainConfig): string[] {
  const tokens = config.stage === 'vqvae' && config.data.tokens !== undefined;
  const { packs, weights } = config.data;
  const { evaluation } = config;
  const draws = evaluation && 'retrieval' in evaluation && evaluation.retrieval;
  return [
    ...(tokens ? ['data.tokens: stage vqvae reads pictures'] : []),
    ...(weights && weights.length !== packs.length
      ? [`data.weights: must be one number for each of the ${packs.length} packs, got ${weights.length}`]
      : []),
    ...(evaluation && !evaluation.packs && !evaluation.keysFile
      ? ['evaluation: must have packs or keysFile, which tell what is held out']
      : []),
    ...(draws && config.data.ratios.length > 1 ? ['evaluation.retrieval: must compare pictures of one ratio'] : []),
    ...alternatives.flatMap((pair) => unlessOne(config.training, pair, 'training.')),
    ...(config.stage === 'star' ? starContradictions(config) : []),
    ...(config.stage === 'vqvae' ? vqvaeContradictions(config) : []),
  ];
}

/** Keys that say the same in another unit. */
const alternatives = [
  ['steps', 'epochs'],
  ['warmupSteps', 'warmupEpochs'],
] as const;

/** A fault where both of two keys are given, or none. */
const unlessOne = <Config extends object>(
  config: Config,
  [a, b]: readonly [keyof Config & string, keyof Config & string],
  prefix = '',
): string[] =>
  (config[a] === undefined) === (config[b] === undefined)
    ? [`${prefix}${a}, ${prefix}${b}: must be given one or the other`]
    : [];

function starContradictions(config: StarRun): string[] {
  const { from, text, textOnly, progressive } = config;
  return [
    ...unlessOne(config, ['text', 'textFolder']),
    ...(textOnly && !(from && text) ? ['textOnly: wants from, the folder of the model that stays, and text'] : []),
    ...(progressive && (progressive.begin ?? 0) > progressive.until
      ? [`progressive: begin must not be behind until, got ${progressive.begin} and ${progressive.until}`]
      : []),
  ];
}

function vqvaeContradictions(config: VqvaeRun): string[] {
  const { from, changes, decoderOnly } = config;
  return [
    ...unlessOne(config, ['vqvae', 'from']),
    ...(changes && from === undefined ? ['changes: wants from, the folder of the VQVAE that is changed'] : []),
    ...(decoderOnly && from === undefined ? ['decoderOnly: wants from, the folder of the VQVAE that is trained'] : []),
    ...(decoderOnly && changes ? ['decoderOnly, changes: a changed VQVAE gives other tokens'] : []),
  ];
}

function parseJson(file: string, text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError(file, [`not JSON: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/** Sets one value by its path; JSON where it parses, else text. Returns what is wrong with it. */
function applyOverride(config: Record<string, unknown>, override: string): string[] {
  const equals = override.indexOf('=');
  if (equals < 1) return [`--set ${override}: must be path=value`];
  const path = override.slice(0, equals).split('.');
  const last = path.pop()!;
  let place: Record<string, unknown> = config;
  for (const key of path) {
    const next = place[key];
    if (typeof next !== 'object' || next === null) return [`--set ${override}: there is no ${path.join('.')}`];
    place = next as Record<string, unknown>;
  }
  place[last] = jsonOrText(override.slice(equals + 1));
  if (path.join('.') === 'training') deleteOtherUnit(place, last);
  return [];
}

/** Takes away the key that says the same in another unit: an override replaces it. */
function deleteOtherUnit(training: Record<string, unknown>, key: string): void {
  const pair: readonly string[] = alternatives.find((names: readonly string[]) => names.includes(key)) ?? [];
  for (const name of pair) if (name !== key) delete training[name];
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The JSON schema of training configs, as configs/schema.json holds it. */
export const trainConfigJsonSchema = (): string =>
  `${JSON.stringify(z.toJSONSchema(trainConfigSchema, { io: 'input' }), null, 2)}\n`;

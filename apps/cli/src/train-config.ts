import { ratios } from '@star-webgpu/vqvae';
import { z } from 'zod';

const count = z.number().int().positive();
const share = z.number().min(0).max(1);

const data = z.strictObject({
  packs: z.array(z.string()).nonempty(),
  /** A file with one key a line; all pictures without it. */
  keysFile: z.string().optional(),
  /** Side of square pictures in pixels. */
  size: count,
  /** Ratios of width to height: each picture is resized to the nearest, and a batch has one. */
  ratios: z.array(z.enum(ratios)).nonempty().default(['1:1']),
  /** What `star tokenize` made of these pictures and their captions: neither encoder is needed then. Stages star and refiner only. */
  tokens: z.string().optional(),
});

const training = z.strictObject({
  batch: count,
  /** Batches that make one step. */
  accumulate: count.default(1),
  steps: count,
  learningRate: z.number().positive(),
  warmupSteps: z.number().int().min(0),
  schedule: z
    .string()
    .regex(/^(cos|exp|lin(00|0(\.\d+)?)?)$/, 'must be cos, lin, lin0, lin00, exp or lin followed by a number in 0..1'),
  /** Share of the learning rate at the last step. */
  finalRate: share,
  weightDecay: z.number().min(0),
  clipNorm: z.number().positive(),
  /** Type of the operands of products; f16 wants an adapter with half floats. */
  precision: z.enum(['f32', 'f16']).default('f32'),
  saveEvery: count,
  keepCheckpoints: count,
});

const vqvae = z.strictObject({
  channels: count,
  channelMultipliers: z.array(count).nonempty(),
  residualBlocks: count,
  attention: z.boolean(),
  normGroups: count,
  codebookSize: count.min(2),
  codeWidth: count,
  patchNumbers: z.array(count).nonempty(),
  phis: z.number().int().min(0),
  phiShare: share,
  beta: z.number().min(0),
  cosineLookup: z.boolean(),
});

/** For editors, which check and complete a file that names its schema. */
const $schema = z.string().optional();

const vqvaeRun = z.strictObject({
  $schema,
  stage: z.literal('vqvae'),
  seed: z.number().int().min(0),
  data,
  vqvae,
  training,
  loss: z.strictObject({
    absoluteWeight: z.number().min(0),
    quantizeWeight: z.number().min(0),
    reviveEvery: z.number().int().min(0),
    reviveUntil: z.number().int().min(0),
  }),
});

/** What a finished model is best drawn with; its folder keeps it. */
const sampling = z
  .strictObject({
    guidance: z.number().min(0),
    topK: z.number().int().min(0),
    topP: share,
    smooth: z.boolean(),
    refine: z.union([
      z.boolean(),
      z.strictObject({ version: z.enum(['1024', 'new']), steps: count.max(64) }).partial(),
    ]),
  })
  .partial();

/** Pictures drawn with the weights of every so many steps; never without it. */
const preview = z.strictObject({ every: count, prompts: z.array(z.string()).nonempty() });

const starRun = z.strictObject({
  $schema,
  stage: z.literal('star'),
  seed: z.number().int().min(0),
  data,
  /** Folder of the trained VQVAE. */
  vqvaeFolder: z.string(),
  /** Sizes of a text encoder that learns along; or name a `textFolder`. */
  text: z
    .strictObject({
      layers: count,
      width: count,
      heads: count,
      mlpWidth: count,
      positions: count,
      vocabSize: count.min(258),
    })
    .optional(),
  /** Folder of a text encoder that stays as it is. */
  textFolder: z.string().optional(),
  star: z.strictObject({ depth: count, width: count, heads: count, dropPath: share }),
  training,
  /** Share of captions replaced by the empty one. */
  captionDropout: share,
  /** Which captions are drawn: all of a picture's, or its first. */
  captions: z.enum(['random', 'first']),
  labelSmoothing: share,
  sampling: sampling.optional(),
  preview: preview.optional(),
});

const refinerRun = z.strictObject({
  $schema,
  stage: z.literal('refiner'),
  seed: z.number().int().min(0),
  data,
  /** Folder of the trained model: star, text and vqvae. All of it stays as it is. */
  modelFolder: z.string(),
  /** What a model that has no refiner is given; one that has it goes on with its own. */
  refiner: z.strictObject({ depth: count, sampleFrom: z.number().int().min(0) }),
  training,
  captionDropout: share,
  captions: z.enum(['random', 'first']),
  /** Instead of what the model's folder says. */
  sampling: sampling.optional(),
  preview: preview.optional(),
});

/** What a training config may say. */
const trainConfigSchema = z.discriminatedUnion('stage', [vqvaeRun, starRun, refinerRun]);

/** A training run, as configs/*.json describe it. */
export type TrainConfig = z.infer<typeof trainConfigSchema>;
export type VqvaeRun = z.infer<typeof vqvaeRun>;
export type StarRun = z.infer<typeof starRun>;
export type RefinerRun = z.infer<typeof refinerRun>;

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
  const text = config.stage === 'star' && (config.text === undefined) === (config.textFolder === undefined);
  return [
    ...(tokens ? ['data.tokens: stage vqvae reads pictures'] : []),
    ...(text ? ['text, textFolder: must be given one or the other'] : []),
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
  return [];
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

import { parseTextConfig, type TextConfig } from '@star-webgpu/text-encoder';
import { MetricError } from '../picture.ts';

/** Sizes of CLIP's image tower. */
export interface ClipVisionConfig {
  /** Side of the pictures, in pixels. */
  readonly side: number;
  /** Side of a patch; it divides the side. */
  readonly patch: number;
  /** Width of the hidden states (D). */
  readonly width: number;
  readonly mlpWidth: number;
  readonly layers: number;
  /** Attention heads; width / heads is a multiple of 4. */
  readonly heads: number;
  readonly activation: 'gelu' | 'quick_gelu';
  readonly normEpsilon: number;
}

/** Both towers, and the width of the space in which they meet. */
export interface ClipConfig {
  readonly text: TextConfig;
  readonly vision: ClipVisionConfig;
  readonly projection: number;
}

/** Our field, its name in a Hugging Face `vision_config`, and what is meant where that file leaves it out. */
const storedFields: readonly (readonly [keyof ClipVisionConfig, string, string | number])[] = [
  ['side', 'image_size', 224],
  ['patch', 'patch_size', 32],
  ['width', 'hidden_size', 768],
  ['mlpWidth', 'intermediate_size', 3072],
  ['layers', 'num_hidden_layers', 12],
  ['heads', 'num_attention_heads', 12],
  ['activation', 'hidden_act', 'quick_gelu'],
  ['normEpsilon', 'layer_norm_eps', 1e-5],
];

type Json = Readonly<Record<string, unknown>>;

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0;

type Rule = readonly [field: keyof ClipVisionConfig, condition: string, holds: (config: ClipVisionConfig) => boolean];

const rules: readonly Rule[] = [
  ...(['side', 'mlpWidth', 'layers'] as const).map((field): Rule => [
    field,
    'a positive integer',
    (config) => isCount(config[field]),
  ]),
  ['patch', 'a divisor of the side', ({ side, patch }) => isCount(patch) && side % patch === 0],
  ['width', 'a positive multiple of 4', ({ width }) => isCount(width) && width % 4 === 0],
  [
    'heads',
    'a divisor of the width that leaves a multiple of 4',
    ({ width, heads }) => isCount(heads) && (width / heads) % 4 === 0,
  ],
  ['activation', '"gelu" or "quick_gelu"', ({ activation: a }) => a === 'gelu' || a === 'quick_gelu'],
  ['normEpsilon', 'a positive number', ({ normEpsilon }) => normEpsilon > 0],
];

/** The config of a Hugging Face `config.json` of a CLIP model. @throws MetricError or TextConfigError listing every fault. */
export function parseClipConfig(json: Json): ClipConfig {
  const { text_config: text, vision_config: vision, projection_dim: projection = 512 } = json;
  if (!isObject(text) || !isObject(vision) || !isCount(projection))
    throw new MetricError(
      'clip',
      'config must have text_config, vision_config and a positive projection_dim. Use the config.json of a whole CLIP model.',
    );
  return { text: parseTextConfig(text), vision: parseVision(vision), projection: projection as number };
}

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;

function parseVision(json: Json): ClipVisionConfig {
  const fields = storedFields.map(([field, stored, missing]) => [field, json[stored] ?? missing]);
  const config = Object.fromEntries(fields) as ClipVisionConfig;
  const broken = rules
    .filter(([, , holds]) => !holds(config))
    .map(([field, condition]) => `${field} ${JSON.stringify(config[field])} instead of ${condition}`);
  if (!broken.length) return config;
  throw new MetricError('clip', `vision_config must be valid, got ${broken.join('; ')}. Correct these fields.`);
}

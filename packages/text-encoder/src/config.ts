/** Sizes and options of a CLIP text model; the defaults are those of the published tower. */
export interface TextConfig {
  /** Rows of the token embedding. */
  readonly vocabSize: number;
  /** Width of the hidden states (D). */
  readonly width: number;
  /** Hidden width of the feed-forward part. */
  readonly mlpWidth: number;
  readonly layers: number;
  /** Attention heads (N); width / heads is a multiple of 4. */
  readonly heads: number;
  /** Most tokens a prompt, and how many a prompt is padded to (T). */
  readonly positions: number;
  /** `gelu` is the exact one, by the error function. */
  readonly activation: 'gelu' | 'quick_gelu';
  /** The pooled vector is the state at the first token of this id; 2 stands, as in older files, for the largest id of the prompt. */
  readonly eosTokenId: number;
  readonly normEpsilon: number;
}

/** The text tower of Stable Diffusion 2.1: OpenCLIP ViT-H in Hugging Face layout. */
export const publishedTextConfig: TextConfig = {
  vocabSize: 49_408,
  width: 1024,
  mlpWidth: 4096,
  layers: 23,
  heads: 16,
  positions: 77,
  activation: 'gelu',
  eosTokenId: 2,
  normEpsilon: 1e-5,
};

/** A config that cannot be built; lists every fault at once. */
export class TextConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`text: config must be valid, got ${faults.join('; ')}. Correct these fields.`);
    this.name = 'TextConfigError';
    this.faults = faults;
  }
}

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0;

type Rule = readonly [field: keyof TextConfig, condition: string, holds: (config: TextConfig) => boolean];

const counts = ['vocabSize', 'mlpWidth', 'layers', 'heads'] as const;

const rules: readonly Rule[] = [
  ...counts.map((field): Rule => [field, 'a positive integer', (config) => isCount(config[field])]),
  ['width', 'a positive multiple of 4', ({ width }) => isCount(width) && width % 4 === 0],
  [
    'heads',
    'a divisor of the width that leaves a multiple of 4',
    ({ width, heads }) => !isCount(width) || !isCount(heads) || (width / heads) % 4 === 0,
  ],
  ['positions', 'an integer of at least 2', ({ positions }) => isCount(positions) && positions > 1],
  ['activation', '"gelu" or "quick_gelu"', ({ activation: a }) => a === 'gelu' || a === 'quick_gelu'],
  ['eosTokenId', 'a token id', ({ eosTokenId }) => Number.isInteger(eosTokenId) && eosTokenId >= 0],
  ['normEpsilon', 'a positive number', ({ normEpsilon }) => normEpsilon > 0],
];

/** Fills what is left out with the published values and checks the rest. @throws TextConfigError listing every fault. */
export function textConfig(given: Partial<TextConfig>): TextConfig {
  const config = { ...publishedTextConfig, ...given };
  const unknown = Object.keys(given).filter((key) => !(key in publishedTextConfig));
  const broken = rules
    .filter(([, , holds]) => !holds(config))
    .map(([field, condition]) => `${field} ${JSON.stringify(config[field])} instead of ${condition}`);
  if (unknown.length || broken.length)
    throw new TextConfigError([...unknown.map((key) => `unknown field ${key}`), ...broken]);
  return config;
}

/** Our field, its name in a Hugging Face `config.json`, and what is meant where that file leaves it out. */
const storedFields: readonly (readonly [keyof TextConfig, string, string | number])[] = [
  ['vocabSize', 'vocab_size', 49_408],
  ['width', 'hidden_size', 512],
  ['mlpWidth', 'intermediate_size', 2048],
  ['layers', 'num_hidden_layers', 12],
  ['heads', 'num_attention_heads', 8],
  ['positions', 'max_position_embeddings', 77],
  ['activation', 'hidden_act', 'quick_gelu'],
  ['eosTokenId', 'eos_token_id', 49_407],
  ['normEpsilon', 'layer_norm_eps', 1e-5],
];

/** The config of a Hugging Face `config.json` of a CLIP text model. @throws TextConfigError listing every fault. */
export function parseTextConfig(json: Readonly<Record<string, unknown>>): TextConfig {
  const fields = storedFields.map(([field, stored, missing]) => [field, json[stored] ?? missing]);
  return textConfig(Object.fromEntries(fields) as Partial<TextConfig>);
}

/** The config as a Hugging Face `config.json`. */
export function formatTextConfig(config: TextConfig): Record<string, unknown> {
  const fields = storedFields.map(([field, stored]) => [stored, config[field]]);
  return { architectures: ['CLIPTextModel'], model_type: 'clip_text_model', ...Object.fromEntries(fields) };
}

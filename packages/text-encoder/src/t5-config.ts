import {
  completeConfig,
  countRules,
  isCount,
  readFields,
  type Rule,
  type StoredField,
  writeFields,
} from './config-rules.ts';

/** Sizes and options of a T5 encoder; the defaults are those of flan-T5-XL as the published model uses it. */
export interface T5Config {
  /** Rows of the token embedding. */
  readonly vocabSize: number;
  /** Width of the hidden states (D). */
  readonly width: number;
  /** Hidden width of the feed-forward part. */
  readonly mlpWidth: number;
  readonly layers: number;
  /** Attention heads (N). */
  readonly heads: number;
  /** Width of a head (d); heads * headWidth need not be the width. */
  readonly headWidth: number;
  /** How many tokens a prompt is padded or cut to (T); the model itself knows no limit. */
  readonly positions: number;
  /** Distances between tokens are told apart by so many classes, half of them for each direction. */
  readonly buckets: number;
  /** From this distance on all are of one class. */
  readonly farthest: number;
  /** Only the gated tanh-GELU of T5 v1.1 and flan-T5. */
  readonly activation: 'gated-gelu';
  readonly normEpsilon: number;
  /** Captions are cleaned before they are tokenised: see `cleanCaption`. */
  readonly cleanCaptions: boolean;
}

/** The encoder of flan-T5-XL with 120 tokens a prompt. */
export const publishedT5Config: T5Config = {
  vocabSize: 32_128,
  width: 2048,
  mlpWidth: 5120,
  layers: 24,
  heads: 32,
  headWidth: 64,
  positions: 120,
  buckets: 32,
  farthest: 128,
  activation: 'gated-gelu',
  normEpsilon: 1e-6,
  cleanCaptions: true,
};

const rules: readonly Rule<T5Config>[] = [
  ...countRules<T5Config>(['vocabSize', 'mlpWidth', 'layers', 'heads', 'headWidth']),
  ['width', 'a positive multiple of 4', ({ width }) => isCount(width) && width % 4 === 0],
  ['positions', 'an integer of at least 2', ({ positions }) => isCount(positions) && positions > 1],
  ['buckets', 'a positive multiple of 4', ({ buckets }) => isCount(buckets) && buckets % 4 === 0],
  [
    'farthest',
    'an integer above a quarter of the buckets',
    ({ farthest, buckets }) => isCount(farthest) && farthest > buckets / 4,
  ],
  ['activation', '"gated-gelu"', ({ activation }) => activation === 'gated-gelu'],
  ['normEpsilon', 'a positive number', ({ normEpsilon }) => normEpsilon > 0],
  ['cleanCaptions', 'true or false', ({ cleanCaptions }) => typeof cleanCaptions === 'boolean'],
];

/** Fills what is left out with the published values and checks the rest. @throws TextConfigError listing every fault. */
export const t5Config = (given: Partial<T5Config>): T5Config => completeConfig(given, publishedT5Config, rules);

/** The last two are ours: Hugging Face's files do not say how the prompts of a model are prepared. */
const storedFields: readonly StoredField<T5Config>[] = [
  ['vocabSize', 'vocab_size', 32_128],
  ['width', 'd_model', 512],
  ['mlpWidth', 'd_ff', 2048],
  ['layers', 'num_layers', 6],
  ['heads', 'num_heads', 8],
  ['headWidth', 'd_kv', 64],
  ['buckets', 'relative_attention_num_buckets', 32],
  ['farthest', 'relative_attention_max_distance', 128],
  ['activation', 'feed_forward_proj', 'relu'],
  ['normEpsilon', 'layer_norm_epsilon', 1e-6],
  ['positions', 'prompt_tokens', publishedT5Config.positions],
  ['cleanCaptions', 'clean_captions', publishedT5Config.cleanCaptions],
];

/** The config of a Hugging Face `config.json` of a T5 model. @throws TextConfigError listing every fault. */
export const parseT5Config = (json: Readonly<Record<string, unknown>>): T5Config =>
  t5Config(readFields(json, storedFields));

/** The config as a Hugging Face `config.json`. */
export const formatT5Config = (config: T5Config): Record<string, unknown> => ({
  architectures: ['T5EncoderModel'],
  model_type: 't5',
  ...writeFields(config, storedFields),
});

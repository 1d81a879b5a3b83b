import {
  completeConfig,
  countRules,
  isCount,
  readFields,
  type Rule,
  type StoredField,
  writeFields,
} from './config-rules.ts';

/** Sizes and options of a CLIP text model; the defaults are those of the published tower. */
export interface TextConfig {
  /** Rows of the token embedding. */
  readonly vocabSize: number;
  /** Width of the hidden states (D). */
  readonly width: number;
  /** Hidden width of the feed-forward part. */
  readonly mlpWidth: number;
  /** Number of blocks. */
  readonly layers: number;
  /** Attention heads (N); width / heads is a multiple of 4. */
  readonly heads: number;
  /** Most tokens a prompt, and how many a prompt is padded to (T). */
  readonly positions: number;
  /** `gelu` is the exact one, by the error function. */
  readonly activation: 'gelu' | 'quick_gelu';
  /** The pooled vector is the state at the first token of this id; 2 stands, as in older files, for the largest id of the prompt. */
  readonly eosTokenId: number;
  /** Added to the variance in layer norms. */
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

const rules: readonly Rule<TextConfig>[] = [
  ...countRules<TextConfig>(['vocabSize', 'mlpWidth', 'layers', 'heads']),
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
export const textConfig = (given: Partial<TextConfig>): TextConfig => completeConfig(given, publishedTextConfig, rules);

const storedFields: readonly StoredField<TextConfig>[] = [
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
export const parseTextConfig = (json: Readonly<Record<string, unknown>>): TextConfig =>
  textConfig(readFields(json, storedFields));

/** The config as a Hugging Face `config.json`. */
export const formatTextConfig = (config: TextConfig): Record<string, unknown> => ({
  architectures: ['CLIPTextModel'],
  model_type: 'clip_text_model',
  ...writeFields(config, storedFields),
});

import { ClipText } from './clip.ts';
import { formatTextConfig, parseTextConfig } from './config.ts';
import { TextError } from './errors.ts';
import { formatT5Config, parseT5Config } from './t5-config.ts';
import { T5Text } from './t5.ts';

/** A text model of any kind: token ids and their mask to states and a pooled vector. */
export type TextModel = ClipText | T5Text;

/** What a config.json leads to. */
export interface StoredModel {
  /** Makes the model; its weights are to be loaded. @throws TextConfigError */
  readonly create: () => TextModel;
  /** Names in weight files that the model has no use for. */
  readonly ignore: RegExp;
  /** Other names of the model's tensors, where a file may have either. */
  readonly aliases: Readonly<Record<string, string>>;
}

type Json = Readonly<Record<string, unknown>>;

/** Constants, the projection, and the picture side of a whole CLIP. */
const clipExtras = /\.position_ids$|^text_projection\.weight$|^vision_model\.|^visual_projection\.|^logit_scale$/;

const clip = (json: Json): StoredModel => ({
  create: () => new ClipText(parseTextConfig((json['text_config'] as Json | undefined) ?? json)),
  ignore: clipExtras,
  aliases: {},
});

const t5 = (json: Json): StoredModel => ({
  create: () => new T5Text(parseT5Config(json)),
  ignore: /^decoder\.|^lm_head\./,
  aliases: { 'encoder.embed_tokens.weight': 'shared.weight' },
});

const kinds: Readonly<Record<string, (json: Json) => StoredModel>> = { clip_text_model: clip, clip, t5 };

/** The kind of model that a Hugging Face `config.json` describes; CLIP text where it names none. @throws TextError for another. */
export function storedModel(json: Json): StoredModel {
  const type = json['model_type'] ?? 'clip_text_model';
  const kind = typeof type === 'string' ? kinds[type] : undefined;
  if (kind) return kind(json);
  throw new TextError(
    'loadTextEncoder',
    `model_type must be one of ${Object.keys(kinds).join(', ')}, got ${JSON.stringify(type)}. Use a CLIP text model or a T5 encoder.`,
  );
}

/** Weights by the names that the model has, where a file may have others. */
export function plainNames<T>(weights: ReadonlyMap<string, T>, { aliases }: StoredModel): Map<string, T> {
  const named = new Map(weights);
  for (const [alias, name] of Object.entries(aliases)) {
    const value = named.get(alias);
    if (value !== undefined && !named.has(name)) named.set(name, value);
    named.delete(alias);
  }
  return named;
}

/** The config of a model as a Hugging Face `config.json`. */
export const storedConfig = (model: TextModel): Record<string, unknown> =>
  model instanceof T5Text ? formatT5Config(model.config) : formatTextConfig(model.config);

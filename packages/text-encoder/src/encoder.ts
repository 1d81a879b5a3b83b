import { type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { TextError } from './errors.ts';
import type { TextFeatures } from './features.ts';
import type { TextModel } from './text-model.ts';
import type { TokenBatch, Tokenizer } from './tokenizer.ts';

/** A tokenizer and the text model that reads its ids. */
export class TextEncoder {
  readonly tokenizer: Tokenizer;
  readonly model: TextModel;

  /** @throws TextError if tokenizer and model do not belong together. */
  constructor(tokenizer: Tokenizer, model: TextModel) {
    const { config } = model;
    const { vocabSize } = config;
    if (tokenizer.vocabSize > vocabSize)
      throw new TextError(
        'TextEncoder',
        `tokenizer must have at most the model's ${vocabSize} tokens, got ${tokenizer.vocabSize}. Use the tokenizer of this model.`,
      );
    if ('eosTokenId' in config && config.eosTokenId !== 2 && config.eosTokenId !== tokenizer.endId)
      throw new TextError(
        'TextEncoder',
        `eosTokenId must be the tokenizer's end token ${tokenizer.endId}, got ${config.eosTokenId}. Set it in the config.`,
      );
    this.tokenizer = tokenizer;
    this.model = model;
  }

  /** Width of the states (D). */
  get width(): number {
    return this.model.config.width;
  }

  /** Ids and mask of prompts, padded or cut to the model's positions. */
  tokenize(prompts: readonly string[]): TokenBatch {
    return this.tokenizer.encodeBatch(prompts, this.model.config.positions);
  }

  /** Features of prompts of any length and script; recorded for gradients unless the model is frozen. */
  encode(prompts: readonly string[]): TextFeatures {
    const { ids, mask } = this.tokenize(prompts);
    const upload = (values: Uint32Array): Tensor =>
      tensor(values, [prompts.length, this.model.config.positions], { dtype: 'u32' });
    return this.model.forward(upload(ids), upload(mask));
  }

  /** Frees the model. */
  dispose(): void {
    this.model.dispose();
  }
}

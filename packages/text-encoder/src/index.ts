export { type TrainBpeOptions, trainBpe } from './bpe-trainer.ts';
export { ClipLayer, type ClipLayerConfig, type Visible } from './clip-layer.ts';
export { ClipText, initText } from './clip.ts';
export {
  formatTextConfig,
  parseTextConfig,
  publishedTextConfig,
  type TextConfig,
  textConfig,
  TextConfigError,
} from './config.ts';
export { TextEncoder } from './encoder.ts';
export { TextError } from './errors.ts';
export type { TextFeatures } from './features.ts';
export { LayerNorm } from './layer-norm.ts';
export { type TokenBatch, Tokenizer, type TokenizerJson } from './tokenizer.ts';
export { loadTextEncoder, type LoadTextOptions, type ReadFile, saveTextEncoder } from './weights.ts';

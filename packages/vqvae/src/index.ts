export { codebookUsage, type CodebookUsage, countHits, reviveDeadCodes, type Revival } from './codebook.ts';
export {
  downsampleFactor,
  imageSide,
  imageSize,
  publishedConfig,
  type VqvaeConfig,
  vqvaeConfig,
  VqvaeConfigError,
} from './config.ts';
export { type Quantized, Quantizer } from './quantizer.ts';
export { loadQuantizer } from './quantizer-weights.ts';
export * from './scales.ts';
export { Vqvae, type VqvaeTraining } from './vqvae.ts';
export { loadVqvae, type LoadVqvaeOptions, saveVqvae, unusedVqvaeWeights } from './weights.ts';
export type { ReadFile } from '@star-webgpu/tensor-webgpu';

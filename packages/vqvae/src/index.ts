export { codebookUsage, type CodebookUsage, codeHits, reviveDeadCodes, type Revival } from './codebook.ts';
export {
  downsampleFactor,
  imageSide,
  imageSize,
  publishedConfig,
  type VqvaeConfig,
  vqvaeConfig,
  VqvaeConfigError,
} from './config.ts';
export { Discriminator, type DiscriminatorConfig, publishedDiscriminator } from './discriminator.ts';
export { type Quantized, Quantizer } from './quantizer.ts';
export { loadQuantizer } from './quantizer-weights.ts';
export * from './scales.ts';
export { UsageMeter, type UsageState } from './usage-meter.ts';
export { Vqvae, type VqvaeFeatures, type VqvaeTraining } from './vqvae.ts';
export {
  loadVqvae,
  type LoadVqvaeOptions,
  saveVqvae,
  unusedVqvaeWeights,
  type VqvaeChanges,
  vqvaeFolder,
} from './weights.ts';
export type { ReadFile } from '@star-webgpu/tensor-webgpu';

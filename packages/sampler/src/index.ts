export { ModelsError } from './check-models.ts';
export { type Drawn, draw, type ScalePlace } from './draw.ts';
export { filterTokens } from './filter.ts';
export { generate, type GuidedText, type Models, type ScaleStep } from './generate.ts';
export { guidanceStrength, guide, scaleRatio } from './guidance.ts';
export { pictureAt, type Pictures, toPictures } from './image.ts';
export {
  type ResolvedOptions,
  resolveOptions,
  type SamplingDefaults,
  samplingFile,
  type SamplingOptions,
  SamplingOptionsError,
} from './options.ts';
export {
  generateFromPrompts,
  loadPipeline,
  Pipeline,
  type PromptModels,
  type ReadFile,
  savePipeline,
} from './pipeline.ts';
export { SamplingPlan, type SamplingSpec, SamplingPlans } from './sampling-plan.ts';

export { ModelsError } from './check-models.ts';
export { type Drawn, draw, type ScalePlace } from './draw.ts';
export { filterTokens } from './filter.ts';
export { generate, type GuidedText, type Models, type ScaleStep } from './generate.ts';
export { guide, scaleRatio } from './guidance.ts';
export { pictureAt, type Pictures, toPictures } from './image.ts';
export {
  type EntropyTemperature,
  type GuidanceSchedule,
  type PerScale,
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
  type PromptOptions,
  type ReadFile,
  savePipeline,
} from './pipeline.ts';
export { type PlannedOptions, plannedOptions, type ScaleNumbers } from './plan-numbers.ts';
export { SamplingPlan, SamplingPlans, type SamplingRun, type SamplingSpec } from './sampling-plan.ts';

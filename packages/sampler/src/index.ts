export { ModelsError } from './check-models.ts';
export { type Drawn, draw, type ScalePlace } from './draw.ts';
export { type EditedPicture, editPicture, type EditOptions, encodePicture } from './edit.ts';
export { filterTokens } from './filter.ts';
export {
  finishedPictures,
  generate,
  type GenerateOptions,
  type GuidedText,
  type Models,
  type ScaleStep,
} from './generate.ts';
export { guide, scaleRatio } from './guidance.ts';
export { fromPictures, pictureAt, type Pictures, toPictures } from './image.ts';
export {
  type EntropyTemperature,
  type GuidanceSchedule,
  parseSamplingDefaults,
  type PerScale,
  type ResolvedOptions,
  resolveOptions,
  type SamplingDefaults,
  samplingFile,
  type SamplingOptions,
  SamplingOptionsError,
} from './options.ts';
export { generateFromPrompts, type PromptModels, type PromptOptions } from './generate-from-prompts.ts';
export { ModelFolderError } from './model-folder.ts';
export { loadPipeline, type LoadPipelineOptions, Pipeline, savePipeline } from './pipeline.ts';
export type { ReadFile } from '@star-webgpu/tensor-webgpu';
export { type PlannedOptions, plannedOptions, type ScaleNumbers } from './plan-numbers.ts';
export {
  type PresetConfigs,
  presetConfigs,
  presetModels,
  randomPipeline,
  type RandomPipelineOptions,
} from './presets.ts';
export type { RefineOptions, ResolvedRefine, ScalesOf } from './refine-options.ts';
export type { Prompt, PromptBlend } from './prompts.ts';
export {
  type Box,
  boxRegion,
  type KeepOptions,
  pasteOutside,
  type Region,
  tokenWeights,
  wholeRegion,
} from './region.ts';
export { watchableWords, type WatchedWords } from './watched-words.ts';
export type { StableVersion } from './stable.ts';
export { type GivenTokens, SamplingPlan, SamplingPlans, type SamplingRun, type SamplingSpec } from './sampling-plan.ts';

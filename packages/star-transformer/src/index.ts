export { adapterTargets, type AdaptersConfig, loadAdapters, saveAdapters, StarAdapters } from './adapters.ts';
export {
  publishedRefiner,
  type RefinerConfig,
  type StarConfig,
  starConfig,
  StarConfigError,
  type StarPreset,
  starPresets,
} from './config.ts';
export { type BlockText, disposeCache, firstRows, type KeyValues, type KvCache } from './kv-cache.ts';
export { starInit, type StarInit } from './init.ts';
export { blockCausalLimits } from './mask.ts';
export { openCodes, Refiner, type RefinerContext, type RefinerLoss, type RefinerState } from './refiner.ts';
export { ropeAngles, ropeTable } from './rope.ts';
export { Star, type StarInput, type StepInput, type StepFeatures, type StepResult } from './star.ts';
export { transferScales, type Transferred } from './transfer.ts';
export type { WatchedText } from './watch.ts';
export { loadStar, type LoadStarOptions, saveStar, starFolder, unusedStarWeights } from './weights.ts';
export type { ReadFile } from '@star-webgpu/tensor-webgpu';

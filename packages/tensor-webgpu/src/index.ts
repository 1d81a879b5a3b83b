export { backward, type BackwardOptions, vectorJacobian } from './autograd/backward.ts';
export { noGrad } from './autograd/record.ts';
export { withGradients } from './autograd/with-gradients.ts';
export type { MemoryLimits, PoolStats } from './device/buffer-pool.ts';
export { currentDevice, setDevice } from './device/current.ts';
export { createDevice, Device, type DeviceOptions, type DeviceStats, type Wait } from './device/device.ts';
export { type Plan, plan, type PlanOptions, type PlanSize } from './device/plan.ts';
export { PlanArena } from './device/plan-arena.ts';
export { type Profile, profileOf } from './device/profile.ts';
export type { KernelRun } from './device/profiler.ts';
export { HostCopies } from './device/host-copies.ts';
export { bytesPerElement, type DType, fromHalfBits, type HostArray, toHalfBits } from './dtype.ts';
export { DeviceLostError, GpuError, TensorError } from './errors.ts';
export { cast } from './ops/cast.ts';
export * from './ops/elementwise.ts';
export { linear, type LinearFinish } from './ops/linear.ts';
export { type MatmulOptions, matmul } from './ops/matmul.ts';
export { argmax, argmin, max, mean, min, type ReduceOptions, sum } from './ops/reduce.ts';
export {
  clone,
  concat,
  contiguous,
  detach,
  permute,
  reshape,
  slice,
  stack,
  transpose,
  writeSlice,
} from './ops/view.ts';
export { expand } from './ops/expand.ts';
export { scope } from './scope.ts';
export { sameShape, type Shape } from './shape.ts';
export { arange, assign, assignBytes, empty, full, ones, Tensor, tensor, type TensorOptions, zeros } from './tensor.ts';
export { loadTensors, snapshot } from './io/device-tensors.ts';
export {
  deviceDType,
  hostFloats,
  type HostTensor,
  hostTensor,
  storedBytes,
  type StoredDType,
} from './io/host-tensor.ts';
export {
  openSafetensors,
  openSharded,
  openWeights,
  readSafetensors,
  readSafetensorsMetadata,
  readSharded,
  safetensorsPieces,
  SafetensorsError,
  writeSafetensors,
} from './io/safetensors.ts';
export {
  type ByteSource,
  bytesSource,
  type FileBytes,
  insideOf,
  jsonFile,
  readBytes,
  type ReadFile,
  readText,
  SourceError,
} from './io/source.ts';
export { readStored, storedSize, storedTensor, type StoredTensor } from './io/stored-tensor.ts';
export { type HostRandom, hostRandom, philoxBlock } from './nn/host-random.ts';
export {
  type Init,
  type InitLaw,
  initConstant,
  initFanIn,
  initNormal,
  initOnes,
  initScaled,
  initTruncatedNormal,
  initUniform,
  initZeros,
} from './nn/init.ts';
export { Linear, trainableTensors } from './nn/linear.ts';
export { LowRank } from './nn/low-rank.ts';
export { folderBytes, type ModelFolder, type WeightsFile } from './nn/model-folder.ts';
export { checkWeights, type LoadOptions, Module, type WeightsCheck, WeightsError } from './nn/module.ts';
export { type ParameterOptions, withParameters } from './nn/parameters.ts';
export { attention, type AttentionOptions } from './ops/attention.ts';
export { attentionWeights } from './ops/attention-weights.ts';
export { fixTokens, type FixTokensOptions } from './ops/fix-tokens.ts';
export { conv2d, type Conv2dOptions, type Padding } from './ops/conv2d.ts';
export { embedding, scatterAdd } from './ops/embedding.ts';
export { groupNorm, type GroupNormOptions } from './ops/group-norm.ts';
export {
  keyValueHeads,
  type KeyValueHeadsOptions,
  queryHeads,
  type QueryHeadsOptions,
  queryKeyValueHeads,
} from './ops/heads.ts';
export {
  type LinearCrossEntropy,
  linearCrossEntropy,
  type LinearCrossEntropyOptions,
} from './ops/linear-cross-entropy.ts';
export { l2Normalize, layerNorm, type LayerNormOptions, rmsNorm, type RmsNormOptions } from './ops/norm.ts';
export { currentPrecision, type Precision, withPrecision } from './ops/precision.ts';
export { averagePool2d, type AveragePoolOptions, maxPool2d, type PoolOptions } from './ops/pool.ts';
export { resizeArea, resizeBicubic, resizeBilinear, upsampleNearest } from './ops/resize.ts';
export { rope } from './ops/rope.ts';
export { crossEntropy, type CrossEntropyOptions, entropy, logSoftmax, softmax } from './ops/softmax.ts';
export { Conv2d } from './nn/conv2d.ts';
export { Embedding } from './nn/embedding.ts';
export { GroupNorm } from './nn/group-norm.ts';
export { gather } from './ops/gather.ts';
export { nearestRow, type NearestRowOptions } from './ops/nearest-row.ts';
export { allFinite, clipFactor, globalNorm } from './ops/gradient-norm.ts';
export {
  type AdamOptions,
  type AdamSlot,
  adamStep,
  adamwStep,
  type SgdOptions,
  type SgdSlot,
  sgdStep,
  type StepControl,
} from './ops/optimizer.ts';
export { bernoulli, gumbel, normal, type RandomSource, type Seed, seedWords, uniform } from './ops/random.ts';
export { LossScale, type LossScaleOptions, type LossScaleState } from './ops/loss-scale.ts';
export {
  type AdamWNumbers,
  type AdamWParameter,
  type Moments,
  MultiAdamW,
  type MultiAdamWOptions,
} from './ops/multi-adam.ts';
export {
  categorical,
  type DeviceFilter,
  type DrawOptions,
  drawTokens,
  drawWithConfidence,
  type Filter,
  filterLogits,
  type FilterOptions,
  type SureDraw,
  topK,
} from './ops/select.ts';
export { checkpoint } from './autograd/checkpoint.ts';
export type { TuningProblem } from './tuning/operands.ts';
export {
  parseTuning,
  seedTuning,
  type TuningEntry,
  type TuningFound,
  tuningJson,
  type TuningTable,
} from './tuning/table.ts';
export { type DroppedTile, tune, type TuneOptions, type TuningResult, tuningTable, tryPlan } from './tuning/tune.ts';
export { gemmCandidates, type GemmPlan, type GemmProblem, type GemmTile, useTuning } from './ops/gemm-plan.ts';

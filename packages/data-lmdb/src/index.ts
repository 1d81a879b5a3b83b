export type { PictureSize } from './buckets.ts';
export { PackError, type PackErrorKind } from './errors.ts';
export { emojiSource, type EmojiOptions } from './emoji.ts';
export type { EmojiCaptions } from './emoji-captions.ts';
export type { PackFilters } from './filters.ts';
export {
  batchesPerEpoch,
  loadBatches,
  loadEvaluation,
  type Batch,
  type EvaluationOptions,
  type LoadOptions,
  type Selection,
  type TrainingOptions,
} from './loader.ts';
export {
  bucketOrder,
  type BucketOrderOptions,
  bucketSteps,
  following,
  order,
  share,
  stepsPerEpoch,
  type Cursor,
  type OrderOptions,
} from './order.ts';
export { pack, type PackOptions, type PackProgress, type PackReport } from './pack.ts';
export { type ParquetOptions, parquetSource } from './parquet-source.ts';
export { type Duplicate, type DuplicateOptions, nearDuplicates } from './near-duplicates.ts';
export { openPack, type Pack, type PackedPicture } from './reader.ts';
export type { ArrayData, ArrayType, PackHeader, PackRecord, StoredArray } from './schema.ts';
export { referenceFolderSource, referencePackSource } from './reference-source.ts';
export type { PackSource, Refusal, SourceEntry } from './source.ts';
export { sourceOf } from './source-of.ts';
export { folderSource, jsonlSource, tsvSource } from './sources.ts';
export { type PackStatistics, packStatistics, type Spread } from './statistics.ts';
export { toPixels, toPng, toSize, toSquare, type PngEncoding } from './transform.ts';
export { type PackFault, type VerifyOptions, verifyPack, type VerifyReport } from './verify.ts';
export { createPack, type PackWriter, type WriterOptions } from './writer.ts';
export { webDatasetSource, type WebDatasetOptions, writeWebDataset } from './webdataset.ts';

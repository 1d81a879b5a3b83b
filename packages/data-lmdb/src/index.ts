export type { PictureSize } from './buckets.ts';
export { PackError, type PackErrorKind } from './errors.ts';
export { emojiSource, type EmojiOptions } from './emoji.ts';
export {
  loadBatches,
  loadEvaluation,
  type Batch,
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
export { openPack, type Pack, type PackedPicture } from './reader.ts';
export type { ArrayData, ArrayType, PackHeader, PackRecord, StoredArray } from './schema.ts';
export {
  folderSource,
  jsonlSource,
  sourceOf,
  tsvSource,
  type PackSource,
  type Refusal,
  type SourceEntry,
} from './sources.ts';
export { toPng, toSize, toSquare, type PngEncoding } from './transform.ts';
export { createPack, type PackWriter } from './writer.ts';

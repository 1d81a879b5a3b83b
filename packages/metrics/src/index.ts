export { Clip, clipScore, type ClipScore, cosineSimilarity, loadClip, unusedClipWeights } from './clip/clip.ts';
export { type ClipConfig, type ClipVisionConfig, parseClipConfig } from './clip/config.ts';
export { ClipVision } from './clip/vision.ts';
export { codebookUsage, type CodebookUsageReport, type Usage } from './codebook-usage.ts';
export { FeatureStore, type FeatureOrigin } from './evaluation/feature-store.ts';
export {
  type InceptionMeasurement,
  type InceptionMetric,
  type MeasuredSet,
  measureInception,
} from './evaluation/measure.ts';
export type { MetricRow } from './evaluation/rows.ts';
export {
  dpgPrompts,
  genevalPrompts,
  jsonPrompts,
  linePrompts,
  type PromptSuite,
  type SuitePrompt,
} from './evaluation/suites.ts';
export type { FeatureSets } from './features.ts';
export { frechetDistance } from './frechet/frechet.ts';
export { readStatistics, writeStatistics } from './frechet/npz.ts';
export { FeatureStatistics, type Statistics, statisticsOf } from './frechet/statistics.ts';
export { type InceptionScore, inceptionScore } from './inception-score.ts';
export { type InceptionConfig, inceptionConfig, publishedInceptionConfig } from './inception/config.ts';
export { type ExtractOptions, inceptionFeatures, type PictureFeatures } from './inception/extract.ts';
export { Inception, type InceptionFeatures, type InceptionTap, inceptionTaps } from './inception/inception.ts';
export { inceptionOf, inceptionShapes, loadInception, unusedInceptionWeights } from './inception/weights.ts';
export { kernelDistance, type KernelInceptionDistance, kid, type KidOptions } from './kid.ts';
export { type LpipsConfig, lpipsConfig } from './lpips/config.ts';
export { loadLpips, Lpips, lpips } from './lpips/lpips.ts';
export { MetricError, type Picture, type Stream } from './picture.ts';
export { type PrecisionRecall, precisionRecall } from './precision-recall.ts';
export { meanSquaredError, psnr, psnrOfError } from './psnr.ts';
export { measureReconstruction, type ReconstructionReport } from './reconstruction.ts';
export type { ReadFile } from './read-file.ts';
export {
  type CategoryReport,
  compareReports,
  type Comparison,
  type EvaluationReport,
  type GuidanceReport,
  parseEvaluation,
} from './report/evaluation-report.ts';
export { type ContactSheet, evaluationHtml } from './report/html.ts';
export { formatNumber, jsonReport, markdownTable } from './report/text.ts';
export {
  type NamedPicture,
  retrieval,
  type RetrievalOptions,
  type RetrievalRank,
  type RetrievalReport,
} from './retrieval.ts';
export { ssim } from './ssim.ts';

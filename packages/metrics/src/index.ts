export { codebookUsage, type CodebookUsageReport, type Usage } from './codebook-usage.ts';
export { MetricError, type Picture, type Stream } from './picture.ts';
export { meanSquaredError, psnr, psnrOfError } from './psnr.ts';
export { measureReconstruction, type ReconstructionReport } from './reconstruction.ts';
export { formatNumber, jsonReport, markdownTable } from './report.ts';
export {
  type NamedPicture,
  retrieval,
  type RetrievalOptions,
  type RetrievalRank,
  type RetrievalReport,
} from './retrieval.ts';
export { ssim } from './ssim.ts';

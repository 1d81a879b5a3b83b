import type { Picture, Stream } from './picture.ts';
import { meanSquaredError, psnrOfError } from './psnr.ts';
import { ssim } from './ssim.ts';

/** How close pictures came to their originals. */
export interface ReconstructionReport {
  readonly count: number;
  /** Mean over pictures of the PSNR in dB; infinite if one is perfect. */
  readonly psnr: number;
  /** PSNR in dB of the error of all pictures together. */
  readonly psnrOfMeanError: number;
  /** Mean over pictures. */
  readonly ssim: number;
}

/** Measures pairs of a picture and its original, one at a time. NaN for no pairs. @throws MetricError if sizes differ. */
export async function measureReconstruction(
  pairs: Stream<readonly [got: Picture, want: Picture]>,
): Promise<ReconstructionReport> {
  const sums = { count: 0, psnr: 0, error: 0, ssim: 0 };
  for await (const [got, want] of pairs) {
    const error = meanSquaredError(got, want);
    sums.count++;
    sums.psnr += psnrOfError(error);
    sums.error += error;
    sums.ssim += ssim(got, want);
  }
  const { count } = sums;
  return {
    count,
    psnr: sums.psnr / count,
    psnrOfMeanError: psnrOfError(sums.error / count),
    ssim: sums.ssim / count,
  };
}

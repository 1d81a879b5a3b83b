import { checkPair, type Picture } from './picture.ts';

/** Mean of the squared differences of all bytes. @throws MetricError if sizes differ. */
export function meanSquaredError(got: Picture, want: Picture): number {
  checkPair('meanSquaredError', got, want);
  let total = 0;
  for (let i = 0; i < got.data.length; i++) total += (got.data[i]! - want.data[i]!) ** 2;
  return total / got.data.length;
}

/** Peak signal-to-noise ratio in dB of a mean squared error of bytes: 10 log10(255^2 / error); infinite without error. */
export const psnrOfError = (error: number): number => 10 * Math.log10(255 ** 2 / error);

/** Peak signal-to-noise ratio in dB over all three channels; infinite for equal pictures. @throws MetricError if sizes differ. */
export const psnr = (got: Picture, want: Picture): number => psnrOfError(meanSquaredError(got, want));

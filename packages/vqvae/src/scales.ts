/** Sides of the square token maps of the published models, coarse to fine, by picture side; one token is 16 pixels wide. */
export const patchNumberPresets: Readonly<Record<'256' | '512' | '512-12-scales' | '1024', readonly number[]>> = {
  '256': [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
  '512': [1, 2, 3, 4, 6, 9, 13, 18, 24, 32],
  '512-12-scales': [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 24, 32],
  '1024': [1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 48, 64],
};

/** First token of each scale, then the number of all tokens: S + 1 numbers. */
export function tokenOffsets(patchNumbers: readonly number[]): number[] {
  const offsets = [0];
  for (const side of patchNumbers) offsets.push(offsets.at(-1)! + side * side);
  return offsets;
}

/** Tokens of all scales: L, the sum of squared sides. */
export const tokenCount = (patchNumbers: readonly number[]): number => tokenOffsets(patchNumbers).at(-1)!;

/** Scale of every token, in sequence order: L numbers. */
export const tokenScales = (patchNumbers: readonly number[]): number[] =>
  patchNumbers.flatMap((side, scale) => new Array<number>(side * side).fill(scale));

/** Number of phi convolutions that `phis` asks for: 0 means one for each of S scales. */
export const phiCount = (phis: number, scales: number): number => (phis === 0 ? scales : phis);

/** Phi convolution of a scale: the one whose tick is nearest to s / (S - 1), the first on a tie (VAR, section 3.2). */
export function phiIndex(scale: number, scales: number, phis: number): number {
  const count = phiCount(phis, scales);
  const at = scales > 1 ? scale / (scales - 1) : 0;
  const distances = phiTicks(count).map((tick) => Math.abs(tick - at));
  return distances.indexOf(Math.min(...distances));
}

/** Evenly spaced ticks in (0, 1); four of them lie nearer to the ends. */
function phiTicks(count: number): number[] {
  const first = count === 4 ? 1 / 3 / count : 1 / 2 / count;
  // the order of operations is NumPy's linspace: ties are decided by its rounding
  const step = count > 1 ? (1 - first - first) / (count - 1) : 0;
  return Array.from({ length: count }, (_, k) => (k === count - 1 && k > 0 ? 1 - first : k * step + first));
}

/**
 * Token maps of the scales as plain numbers, without tensors.
 * @module
 */

/** Sides of the square token maps of the published models, coarse to fine, by picture side; one token is 16 pixels wide. */
export const patchNumberPresets: Readonly<Record<'256' | '512' | '512-12-scales' | '1024', readonly number[]>> = {
  '256': [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
  '512': [1, 2, 3, 4, 6, 9, 13, 18, 24, 32],
  '512-12-scales': [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 24, 32],
  '1024': [1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 48, 64],
};

/** Height and width of a token map or of a latent map, in tokens. */
export interface MapSize {
  readonly height: number;
  readonly width: number;
}

/** Ratios of width to height that models are trained and asked for. */
export const ratios = ['1:1', '4:3', '3:4', '3:2', '2:3', '16:9', '9:16'] as const;

/** A ratio of width to height. */
export type Ratio = (typeof ratios)[number];

/**
 * Latent map of pictures of a ratio: about as many tokens as the square map of the last patch number n has. The longer side is
 * n sqrt(r) and the shorter n / sqrt(r), r being the longer side of the ratio over the shorter, both rounded to whole tokens.
 */
export function latentSize(patchNumbers: readonly number[], ratio: Ratio = '1:1'): MapSize {
  const side = patchNumbers.at(-1)!;
  const [wide, high] = ratio.split(':').map(Number) as [number, number];
  const stretch = Math.sqrt(Math.max(wide, high) / Math.min(wide, high));
  const [long, short] = [Math.round(side * stretch), Math.max(1, Math.round(side / stretch))];
  return wide < high ? { height: long, width: short } : { height: short, width: long };
}

/**
 * Token maps of all scales, coarse to fine, for a latent map of a size, square if not given. A scale of patch number p has p / n of
 * the latent map's height and width, n being the last patch number, both rounded, at least 1; patch number 1 is one token always.
 */
export function tokenMaps(
  patchNumbers: readonly number[],
  latent: MapSize = latentSize(patchNumbers),
): readonly MapSize[] {
  const last = patchNumbers.at(-1)!;
  const sideAt = (side: number, patchNumber: number): number =>
    patchNumber === 1 ? 1 : Math.max(1, Math.round((side * patchNumber) / last));
  return patchNumbers.map((patchNumber) => ({
    height: sideAt(latent.height, patchNumber),
    width: sideAt(latent.width, patchNumber),
  }));
}

/** First token of each scale, then the number of all tokens: S + 1 numbers. */
export function tokenOffsets(patchNumbers: readonly number[], latent?: MapSize): number[] {
  const offsets = [0];
  for (const { height, width } of tokenMaps(patchNumbers, latent)) offsets.push(offsets.at(-1)! + height * width);
  return offsets;
}

/** Tokens of all scales: L, the sum of height times width over the token maps. */
export const tokenCount = (patchNumbers: readonly number[], latent?: MapSize): number =>
  tokenOffsets(patchNumbers, latent).at(-1)!;

/** Scale of every token, in sequence order: L numbers. */
export const tokenScales = (patchNumbers: readonly number[], latent?: MapSize): number[] =>
  tokenMaps(patchNumbers, latent).flatMap(({ height, width }, scale) => new Array<number>(height * width).fill(scale));

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

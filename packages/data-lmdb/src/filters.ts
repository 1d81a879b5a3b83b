import type { PictureInfo } from './decode.ts';
import type { SourceEntry } from './source.ts';

/** Which pictures and captions of a source are packed; all that are whole without any. */
export interface PackFilters {
  /** Characters of a caption. Others are left out, and so are pictures that have none left. */
  captionLength?: { min?: number; max?: number };
  /** Pixels of the shorter side, at least. */
  minSide?: number;
  /** Longer side to shorter, at most. */
  maxAspect?: number;
  /** Only these keys. */
  keys?: ReadonlySet<string>;
  /** None of these keys. */
  exceptKeys?: ReadonlySet<string>;
  /** Only keys that have a score of at least so much. */
  score?: { of: ReadonlyMap<string, number>; least: number };
}

/** Why an entry is left out by its key, if it is. */
export function faultOfKey({ key }: SourceEntry, { keys, exceptKeys, score }: PackFilters): string | undefined {
  if (keys?.has(key) === false) return 'its key is not among those to pack';
  if (exceptKeys?.has(key)) return 'its key is among those to leave out';
  if (score === undefined) return undefined;
  const own = score.of.get(key);
  if (own === undefined) return 'it has no score';
  return own < score.least ? `its score of ${own} is below ${score.least}` : undefined;
}

/** Captions of a length that is wanted. */
export function fittingCaptions(captions: readonly string[], { captionLength = {} }: PackFilters): string[] {
  const { min = 0, max = Infinity } = captionLength;
  return captions.filter((caption) => {
    const { length } = [...caption];
    return length >= min && length <= max;
  });
}

/** Why a picture is left out by its size, if it is. */
export function faultOfSize({ width, height }: PictureInfo, { minSide, maxAspect }: PackFilters): string | undefined {
  const [shorter, longer] = width < height ? [width, height] : [height, width];
  if (minSide !== undefined && shorter < minSide) return `its ${width} x ${height} have a side below ${minSide}`;
  if (maxAspect !== undefined && longer / shorter > maxAspect)
    return `its ${width} x ${height} are slimmer than ${maxAspect} to 1`;
  return undefined;
}

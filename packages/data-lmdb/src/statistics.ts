import type { Pack } from './reader.ts';

/** How numbers are spread. */
export interface Spread {
  least: number;
  /** A twentieth is below. */
  low: number;
  median: number;
  mean: number;
  /** A twentieth is above. */
  high: number;
  most: number;
}

/** What packs hold, in numbers. */
export interface PackStatistics {
  pictures: number;
  /** Bytes of pictures. */
  bytes: number;
  captions: number;
  /** Captions that several pictures have. */
  sharedCaptions: number;
  captionsAPicture: Spread;
  /** Of all captions. */
  characters: Spread;
  words: Spread;
  width: Spread;
  height: Spread;
  /** Width to height. */
  ratio: Spread;
  /** Bytes of a picture. */
  size: Spread;
  /** Pictures of each media type. */
  types: Record<string, number>;
  /** Pictures of each value of each label. */
  labels: Record<string, Record<string, number>>;
}

/** Counts what packs hold; throws with the signal's reason when it is aborted. */
export function packStatistics(packs: readonly Pack[], signal?: AbortSignal): PackStatistics {
  const lists: Record<'captionsAPicture' | 'characters' | 'words' | 'width' | 'height' | 'ratio' | 'size', number[]> = {
    captionsAPicture: [],
    characters: [],
    words: [],
    width: [],
    height: [],
    ratio: [],
    size: [],
  };
  const seen = new Map<string, number>();
  const types: Record<string, number> = {};
  const labels: Record<string, Record<string, number>> = {};
  for (const { captions, width, height, mime, image, labels: own } of picturesOf(packs)) {
    signal?.throwIfAborted();
    lists.captionsAPicture.push(captions.length);
    lists.width.push(width);
    lists.height.push(height);
    lists.ratio.push(width / height);
    lists.size.push(image.length);
    for (const caption of captions) {
      lists.characters.push([...caption].length);
      lists.words.push(caption.split(' ').length);
      seen.set(caption, (seen.get(caption) ?? 0) + 1);
    }
    count(types, mime);
    for (const [name, value] of Object.entries(own)) count((labels[name] ??= {}), value);
  }
  const spreads = Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, spreadOf(list)]));
  return {
    pictures: lists.width.length,
    bytes: lists.size.reduce((sum, bytes) => sum + bytes, 0),
    captions: lists.words.length,
    sharedCaptions: [...seen.values()].filter((times) => times > 1).length,
    ...(spreads as Record<keyof typeof lists, Spread>),
    types,
    labels,
  };
}

function* picturesOf(packs: readonly Pack[]): Generator<ReturnType<Pack['get']>, void, undefined> {
  for (const pack of packs) for (const key of pack.keys()) yield pack.get(key);
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function spreadOf(list: readonly number[]): Spread {
  const sorted = Float64Array.from(list).toSorted();
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / Math.max(1, sorted.length);
  return { least: at(0), low: at(0.05), median: at(0.5), mean, high: at(0.95), most: at(1) };
}

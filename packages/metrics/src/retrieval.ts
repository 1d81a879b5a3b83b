import { squaredDistances } from './distances.ts';
import { MetricError, type Picture, type Stream } from './picture.ts';
import { distinct, pixelVector, squaredDistance } from './pixels.ts';

/** A picture under the name of what it shows; several may share one. */
export interface NamedPicture {
  readonly key: string;
  readonly picture: Picture;
}

/** How `retrieval` compares pictures. */
export interface RetrievalOptions {
  /** Compares means over side x side boxes instead of pixels; it forgives small shifts. */
  readonly side?: number;
}

/** Where one sample's own picture stands among all. */
export interface RetrievalRank {
  readonly key: string;
  /** 1 if the own picture is the nearest. */
  readonly rank: number;
  /** Key of the nearest picture. */
  readonly nearest: string;
}

/** Result of `retrieval`. */
export interface RetrievalReport {
  readonly samples: number;
  /** Distinct pictures to choose from. */
  readonly pictures: number;
  /** Share of samples whose own picture is the nearest. */
  readonly top1: number;
  /** Share of samples whose own picture is among the five nearest. */
  readonly top5: number;
  /** In the order of the samples. */
  readonly ranks: readonly RetrievalRank[];
}

/**
 * Of samples made for known pictures: is the nearest picture, by the mean squared error of pixels, the one that was asked for?
 * Equal pictures count as one, whatever their keys; a different picture that is just as near counts against the sample.
 * @throws MetricError if sizes differ or a sample's key has no picture.
 */
export async function retrieval(
  { samples, gallery }: { readonly samples: Stream<NamedPicture>; readonly gallery: Stream<NamedPicture> },
  { side }: RetrievalOptions = {},
): Promise<RetrievalReport> {
  const choice = await vectorsOf(gallery, side);
  const asked = await vectorsOf(samples, side);
  checkVectors(asked, choice);
  const known = groupByKey(choice);
  const ranks = asked.length ? await rankAll(asked, known) : [];
  const within = (limit: number): number => ranks.filter(({ rank }) => rank <= limit).length / ranks.length;
  return { samples: asked.length, pictures: known.unique.length, top1: within(1), top5: within(5), ranks };
}

interface NamedVector {
  readonly key: string;
  readonly vector: Float32Array;
  /** Width and height behind the vector. */
  readonly size: string;
}

async function vectorsOf(pictures: Stream<NamedPicture>, side?: number): Promise<NamedVector[]> {
  const vectors: NamedVector[] = [];
  for await (const { key, picture } of pictures) {
    const size = side === undefined ? `${picture.width}x${picture.height}` : `${side}x${side}`;
    vectors.push({ key, vector: pixelVector(picture, side), size });
  }
  return vectors;
}

/** The distinct pictures of the gallery. */
interface Gallery {
  readonly unique: readonly Float32Array[];
  /** Keys of each distinct picture. */
  readonly keys: readonly string[][];
  /** Distinct pictures of each key. */
  readonly places: ReadonlyMap<string, ReadonlySet<number>>;
}

function groupByKey(vectors: readonly NamedVector[]): Gallery {
  const { unique, places } = distinct(vectors.map(({ vector }) => vector));
  const keys = unique.map((): string[] => []);
  const byKey = new Map<string, Set<number>>();
  vectors.forEach(({ key }, i) => {
    keys[places[i]!]!.push(key);
    byKey.set(key, (byKey.get(key) ?? new Set()).add(places[i]!));
  });
  return { unique, keys, places: byKey };
}

function checkVectors(asked: readonly NamedVector[], choice: readonly NamedVector[]): void {
  const known = new Set(choice.map(({ key }) => key));
  const strangers = [...new Set(asked.map(({ key }) => key))].filter((key) => !known.has(key));
  if (strangers.length)
    throw new MetricError(
      'retrieval',
      `samples must have a picture in the gallery, got none for ${strangers.join(', ')}. Add it.`,
    );
  const sizes = new Set([...choice, ...asked].map(({ size }) => size));
  if (sizes.size > 1)
    throw new MetricError('retrieval', `pictures must have one size, got ${[...sizes].join(', ')}. Resize them.`);
}

async function rankAll(asked: readonly NamedVector[], gallery: Gallery): Promise<RetrievalRank[]> {
  const { rows, margin } = await squaredDistances(
    asked.map(({ vector }) => vector),
    gallery.unique,
  );
  return asked.map(({ key, vector }, i) => {
    const own = gallery.places.get(key)!;
    const nearer = placesBefore({ vector, own, distances: rows[i]!, margin }, gallery.unique);
    const nearest = nearer.length ? gallery.keys[nearer[0]!]![0]! : key;
    return { key, rank: nearer.length + 1, nearest };
  });
}

/** Places of other pictures that are as near as the own one, or nearer; the nearest first. Close calls are decided in float64. */
function placesBefore(
  {
    vector,
    own,
    distances,
    margin,
  }: { vector: Float32Array; own: ReadonlySet<number>; distances: Float64Array; margin: number },
  unique: readonly Float32Array[],
): number[] {
  const exact = (place: number): number => squaredDistance(vector, unique[place]!);
  const limit = Math.min(...[...own].map(exact));
  return [...distances.keys()]
    .filter((place) => !own.has(place) && distances[place]! <= limit + margin)
    .filter((place) => distances[place]! < limit - margin || exact(place) <= limit)
    .sort((a, b) => distances[a]! - distances[b]!);
}

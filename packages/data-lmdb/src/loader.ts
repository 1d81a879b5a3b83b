import pLimit from 'p-limit';
import { type Bucket, type PictureSize, sortIntoBuckets } from './buckets.ts';
import { decodeSingleThreaded } from './decode.ts';
import { check, PackError } from './errors.ts';
import { checkWeights, type Mixture, plainMixture, type Visit, weightedMixture } from './mixture.ts';
import { bucketOrder, bucketSteps, following, range, share, type Cursor } from './order.ts';
import { mapOrdered } from './parallel.ts';
import { hashText, hashWords, seedWords } from './random.ts';
import type { Pack } from './reader.ts';
import type { PackRecord } from './schema.ts';
import { toPlanes, toSize } from './transform.ts';

/** Which pictures of which packs. */
export interface Selection {
  packs: readonly Pack[];
  /** Only these keys, in this order. Default: all, sorted within each pack. */
  keys?: readonly string[];
  /** Only pictures whose labels have one of the given values, such as `{ group: ['Food & Drink'] }`. */
  labels?: Readonly<Record<string, readonly string[]>>;
  /** Only the first so many of what is left. */
  take?: number;
}

/** What training and evaluation have in common. */
export interface LoadOptions extends Selection {
  /** Pictures a step; in training, of all ranks together. */
  batch: number;
  /** Side of square pictures in pixels; or several sizes, each picture resized to that of the nearest ratio, and one size a batch. */
  size: number | readonly PictureSize[];
  /** This process, from 0. Default 0. */
  rank?: number;
  /** How many processes share the work. Default 1. */
  worldSize?: number;
  /** Pictures decoded at a time. Default 2. */
  threads?: number;
  /** Batches made ahead of the one in use. Default 2. */
  prefetch?: number;
  /** Decoded pictures stay in memory when all of them fit into this many bytes. Default 256 MiB, 0 for never. */
  cacheBytes?: number;
  /** False leaves `images` empty and decodes nothing: all else is the same, for those who know the pictures by their keys. Default true. */
  decode?: boolean;
}

/** An endless run over shuffled epochs. */
export interface TrainingOptions extends LoadOptions {
  /** Integer from 0 to 2^53 - 1. */
  seed: number;
  /** Where to begin, such as the cursor of the last batch before a stop. Default: the beginning. */
  start?: Cursor;
  /** Batches in a row of one size, such as those that make one step of training together. Default 1. */
  group?: number;
  /** How often each pack is seen, in proportion: a positive number a pack. Default: every picture of all packs once an epoch. */
  weights?: readonly number[];
  /** `random`: one caption drawn for each visit (default). `first`: always the main one. */
  caption?: 'random' | 'first';
}

/** A single pass. */
export interface EvaluationOptions extends LoadOptions {
  /** Batches to leave out at the beginning. Default 0. */
  skip?: number;
}

/** Pictures with a caption each. */
export interface Batch {
  /** [B, 3, H, W] in [-1, 1], row by row; empty where nothing was to be decoded. */
  images: Float32Array<ArrayBuffer>;
  /** [B, 3, H, W]. */
  shape: [number, number, number, number];
  /** One of each picture, drawn from those it has. */
  captions: string[];
  /** The key of each picture. */
  keys: string[];
  /** The place after this batch: give it as `start` to go on from there. */
  cursor: Cursor;
}

const DEFAULT_CACHE_BYTES = 256 * 2 ** 20;

/**
 * Batches for training, without end: shuffled anew each epoch, resized by Lanczos, one caption a visit.
 * The n-th batch depends on the options alone, so a run resumed at a cursor goes on as the unbroken one would have.
 * Decoding happens outside the main thread, `prefetch` batches ahead. The packs stay open.
 */
export async function* loadBatches(options: TrainingOptions): AsyncGenerator<Batch, void, undefined> {
  const { batch, seed, start = { epoch: 0, step: 0 }, rank = 0, worldSize = 1, group = 1 } = options;
  const { items, buckets, counts, visitAt, batches: steps } = epochOf(options);
  check(
    start.step < steps,
    () => `loadBatches: start.step must lie in 0..${steps - 1}, got ${start.step}. Begin with the cursor of this data.`,
  );
  const read = createReader(items, buckets, options);
  yield* mapOrdered(cursors(start, steps), ahead(options), async (cursor) => {
    const { bucket, items: places } = bucketOrder({ ...cursor, counts, batch, group, seed, rank, worldSize });
    const { size } = buckets[bucket] as Bucket;
    const visits = places.map((place) => visitAt({ bucket, place, epoch: cursor.epoch }));
    const captionOf = options.caption === 'first' ? mainCaption : drawnCaption(seed);
    return { ...(await assemble(visits, { items, read, captionOf, size })), cursor: following(cursor, steps) };
  });
}

/** How many batches an epoch of `loadBatches` with these options has, of all ranks together. Decodes nothing. */
export const batchesPerEpoch = (options: TrainingOptions): number => epochOf(options).batches;

interface Epoch extends Mixture {
  readonly items: readonly Item[];
  /** Those that have members. */
  readonly buckets: readonly Bucket[];
  readonly batches: number;
}

function epochOf(options: TrainingOptions): Epoch {
  const items = select(options);
  const { batch, group = 1 } = options;
  const buckets = bucketsOf(items, options.size).filter(({ members }) => members.length > 0);
  const mixture = mixtureOf(items, buckets, options);
  return { items, buckets, ...mixture, batches: bucketSteps(mixture.counts, { batch, group }) };
}

/**
 * Each selected picture once, in order, size by size, with its main caption; ranks have contiguous shares.
 * The last batch of a size holds what is left.
 */
export async function* loadEvaluation(options: EvaluationOptions): AsyncGenerator<Batch, void, undefined> {
  const items = select(options);
  const { batch, rank = 0, worldSize = 1, skip = 0 } = options;
  const { start, end } = share(items.length, { rank, worldSize });
  const buckets = bucketsOf(items, options.size);
  const chunks = buckets.flatMap(({ size, members }) => {
    const own = members.filter((index) => index >= start && index < end);
    return range(0, Math.ceil(own.length / batch)).map((i) => ({
      size,
      chosen: own.slice(i * batch, (i + 1) * batch),
    }));
  });
  const read = createReader(items, buckets, options);
  yield* mapOrdered([...chunks.entries()].slice(skip), ahead(options), async ([step, { size, chosen }]) => {
    const visits = chosen.map((item) => ({ item, pass: 0 }));
    const made = await assemble(visits, { items, read, captionOf: mainCaption, size });
    return { ...made, cursor: following({ epoch: 0, step }, chunks.length) };
  });
}

/** The items sorted by the size that they are loaded at. */
function bucketsOf(items: readonly Item[], size: number | readonly PictureSize[]): Bucket[] {
  if (typeof size === 'number') return [{ size: { height: size, width: size }, members: [...items.keys()] }];
  check(size.length > 0, () => 'load: size must be a number or list at least one size, got an empty list. Name one.');
  const [only] = size;
  if (only !== undefined && size.length === 1) return [{ size: only, members: [...items.keys()] }];
  return sortIntoBuckets(
    items.map(({ pack, key }) => pack.record(key)),
    size,
  );
}

interface Item {
  pack: Pack;
  key: string;
}

/** Each item once an epoch, or the packs by their weights. */
function mixtureOf(items: readonly Item[], buckets: readonly Bucket[], options: TrainingOptions): Mixture {
  const { packs, weights, seed } = options;
  if (weights === undefined) return plainMixture(buckets);
  checkWeights(weights, packs.length);
  return weightedMixture(buckets, { sources: items.map(({ pack }) => packs.indexOf(pack)), weights, seed });
}

type CaptionChoice = (key: string, captions: readonly string[], pass: number) => string;
/** RGB bytes [height, width, 3] of the item at an index; an item is read at one size only. */
type PixelReader = (index: number, size: PictureSize) => Promise<Uint8Array>;
/** Pictures as planes, one behind the other. */
type PlanesReader = (chosen: readonly number[], size: PictureSize) => Promise<Float32Array<ArrayBuffer>>;

async function assemble(
  visits: readonly Visit[],
  context: { items: readonly Item[]; read: PlanesReader; captionOf: CaptionChoice; size: PictureSize },
): Promise<Omit<Batch, 'cursor'>> {
  const { items, read, captionOf, size } = context;
  const visited = visits.map(({ item, pass }) => ({ ...(items[item] as Item), pass }));
  return {
    images: await read(
      visits.map(({ item }) => item),
      size,
    ),
    shape: [visits.length, 3, size.height, size.width],
    captions: visited.map(({ pack, key, pass }) => captionOf(key, pack.record(key).captions, pass)),
    keys: visited.map(({ key }) => key),
  };
}

function createReader(items: readonly Item[], buckets: readonly Bucket[], options: LoadOptions): PlanesReader {
  if (options.decode === false) return async () => new Float32Array();
  const pixelsOf = createPixelReader(items, buckets, options);
  return async (chosen, size) => {
    const pixels = await Promise.all(chosen.map((index) => pixelsOf(index, size)));
    const planes = 3 * size.height * size.width;
    const images = new Float32Array(chosen.length * planes);
    pixels.forEach((picture, i) => toPlanes(picture, images, i * planes));
    return images;
  };
}

function createPixelReader(items: readonly Item[], buckets: readonly Bucket[], options: LoadOptions): PixelReader {
  const { threads = 2, cacheBytes = DEFAULT_CACHE_BYTES } = options;
  decodeSingleThreaded();
  const limit = pLimit(threads);
  const read: PixelReader = (index, size) => limit(() => decodeItem(items[index] as Item, size));
  const bytes = buckets.reduce((sum, { size, members }) => sum + members.length * 3 * size.height * size.width, 0);
  return bytes <= cacheBytes ? remember(read) : read;
}

function remember(read: PixelReader): PixelReader {
  const known = new Map<number, Promise<Uint8Array>>();
  return (index, size) => {
    const pixels = known.get(index) ?? read(index, size);
    known.set(index, pixels);
    return pixels;
  };
}

async function decodeItem({ pack, key }: Item, size: PictureSize): Promise<Uint8Array> {
  const { image } = pack.get(key);
  try {
    return await toSize(image, size);
  } catch (cause) {
    throw new PackError(
      'format',
      `loadBatches: picture ${key} must be readable, got ${image.length} damaged bytes in ${pack.path}. Pack the data again.`,
      { path: pack.path, cause },
    );
  }
}

/** The pictures that a selection means; throws when keys are unknown or nothing is left. */
function select(selection: Selection): Item[] {
  const { packs, keys, labels = {}, take = Number.POSITIVE_INFINITY } = selection;
  const all = keys === undefined ? packs.flatMap(itemsOf) : keys.map((key) => find(packs, key));
  const kept = all.filter(({ pack, key }) => Object.keys(labels).length === 0 || matches(pack.record(key), labels));
  check(kept.length > 0, () => 'load: selection must hold at least one picture, got none. Widen keys or labels.');
  return kept.slice(0, take);
}

const itemsOf = (pack: Pack): Item[] => pack.keys().map((key) => ({ pack, key }));

function find(packs: readonly Pack[], key: string): Item {
  const pack = packs.find((candidate) => candidate.has(key));
  check(pack !== undefined, () => `load: key must be in one of the packs, got ${key}. See keys().`);
  return { pack, key };
}

function matches(record: PackRecord, labels: Readonly<Record<string, readonly string[]>>): boolean {
  return Object.entries(labels).every(([name, values]) => values.includes(record.labels[name] ?? ''));
}

const mainCaption: CaptionChoice = (_key, captions) => captions[0] as string;

function drawnCaption(seed: number): CaptionChoice {
  const words = seedWords(seed);
  return (key, captions, pass) => captions[hashWords(...words, pass, hashText(key)) % captions.length] as string;
}

function* cursors(start: Cursor, steps: number): Generator<Cursor, void, undefined> {
  for (let cursor = start; ; cursor = following(cursor, steps)) yield cursor;
}

/** One batch is in use, the others are being made. */
const ahead = ({ prefetch = 2 }: LoadOptions): number => prefetch + 1;

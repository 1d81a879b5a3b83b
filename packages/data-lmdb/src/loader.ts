import pLimit from 'p-limit';
import { decodeSingleThreaded } from './decode.ts';
import { check, PackError } from './errors.ts';
import { following, order, range, share, stepsPerEpoch, type Cursor } from './order.ts';
import { mapOrdered } from './parallel.ts';
import { hashText, hashWords, seedWords } from './random.ts';
import type { Pack } from './reader.ts';
import type { PackRecord } from './schema.ts';
import { toPlanes, toSquare } from './transform.ts';

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
  /** Side of the square pictures in pixels. */
  size: number;
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
}

/** An endless run over shuffled epochs. */
export interface TrainingOptions extends LoadOptions {
  /** Integer from 0 to 2^53 - 1. */
  seed: number;
  /** Where to begin, such as the cursor of the last batch before a stop. Default: the beginning. */
  start?: Cursor;
  /** `random`: one caption drawn for each visit (default). `first`: always the main one. */
  caption?: 'random' | 'first';
}

/** Pictures with a caption each. */
export interface Batch {
  /** [B, 3, H, W] in [-1, 1], row by row. */
  images: Float32Array<ArrayBuffer>;
  /** [B, 3, H, W]. */
  shape: [number, number, number, number];
  captions: string[];
  keys: string[];
  /** The place after this batch: give it as `start` to go on from there. */
  cursor: Cursor;
}

const DEFAULT_CACHE_BYTES = 256 * 2 ** 20;

/**
 * Batches for training, without end: shuffled anew each epoch, resized by Lanczos to squares, one caption a visit.
 * The n-th batch depends on the options alone, so a run resumed at a cursor goes on as the unbroken one would have.
 * Decoding happens outside the main thread, `prefetch` batches ahead. The packs stay open.
 */
export async function* loadBatches(options: TrainingOptions): AsyncGenerator<Batch, void, undefined> {
  const items = select(options);
  const count = items.length;
  const { batch, seed, start = { epoch: 0, step: 0 }, rank = 0, worldSize = 1 } = options;
  const steps = stepsPerEpoch(count, batch);
  check(
    start.step < steps,
    () => `loadBatches: start.step must lie in 0..${steps - 1}, got ${start.step}. Begin with the cursor of this data.`,
  );
  const read = createReader(items, options);
  yield* mapOrdered(cursors(start, steps), ahead(options), async (cursor) => {
    const chosen = order({ ...cursor, count, batch, seed, rank, worldSize });
    const captionOf = options.caption === 'first' ? mainCaption : drawnCaption(seed, cursor.epoch);
    return { ...(await assemble(chosen, { items, read, captionOf, ...options })), cursor: following(cursor, steps) };
  });
}

/**
 * Each selected picture once, in order, with its main caption; ranks have contiguous shares.
 * The last batch holds what is left.
 */
export async function* loadEvaluation(options: LoadOptions): AsyncGenerator<Batch, void, undefined> {
  const items = select(options);
  const { batch, rank = 0, worldSize = 1 } = options;
  const { start, end } = share(items.length, { rank, worldSize });
  const steps = range(0, stepsPerEpoch(end - start, batch));
  const read = createReader(items, options);
  yield* mapOrdered(steps, ahead(options), async (step) => {
    const first = start + step * batch;
    const chosen = range(first, Math.min(first + batch, end));
    const made = await assemble(chosen, { items, read, captionOf: mainCaption, ...options });
    return { ...made, cursor: following({ epoch: 0, step }, steps.length) };
  });
}

interface Item {
  pack: Pack;
  key: string;
}

type CaptionChoice = (key: string, captions: readonly string[]) => string;
/** RGB bytes [size, size, 3] of the item at an index. */
type PixelReader = (index: number) => Promise<Uint8Array>;

async function assemble(
  chosen: readonly number[],
  context: { items: readonly Item[]; read: PixelReader; captionOf: CaptionChoice; size: number },
): Promise<Omit<Batch, 'cursor'>> {
  const { items, read, captionOf, size } = context;
  const pixels = await Promise.all(chosen.map(read));
  const images = new Float32Array(chosen.length * 3 * size * size);
  pixels.forEach((picture, i) => toPlanes(picture, images, i * 3 * size * size));
  const visited = chosen.map((index) => items[index] as Item);
  return {
    images,
    shape: [chosen.length, 3, size, size],
    captions: visited.map(({ pack, key }) => captionOf(key, pack.record(key).captions)),
    keys: visited.map(({ key }) => key),
  };
}

function createReader(items: readonly Item[], options: LoadOptions): PixelReader {
  const { size, threads = 2, cacheBytes = DEFAULT_CACHE_BYTES } = options;
  decodeSingleThreaded();
  const limit = pLimit(threads);
  const read: PixelReader = (index) => limit(() => decodeItem(items[index] as Item, size));
  return items.length * 3 * size * size <= cacheBytes ? remember(read) : read;
}

function remember(read: PixelReader): PixelReader {
  const known = new Map<number, Promise<Uint8Array>>();
  return (index) => {
    const pixels = known.get(index) ?? read(index);
    known.set(index, pixels);
    return pixels;
  };
}

async function decodeItem({ pack, key }: Item, size: number): Promise<Uint8Array> {
  const { image } = pack.get(key);
  try {
    return await toSquare(image, size);
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

function drawnCaption(seed: number, epoch: number): CaptionChoice {
  const words = seedWords(seed);
  return (key, captions) => captions[hashWords(...words, epoch, hashText(key)) % captions.length] as string;
}

function* cursors(start: Cursor, steps: number): Generator<Cursor, void, undefined> {
  for (let cursor = start; ; cursor = following(cursor, steps)) yield cursor;
}

/** One batch is in use, the others are being made. */
const ahead = ({ prefetch = 2 }: LoadOptions): number => prefetch + 1;

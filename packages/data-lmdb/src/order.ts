import { check } from './errors.ts';
import { permute, seedWords } from './random.ts';

/** A place in an endless run over a data set: the step counts from 0 within its epoch. */
export interface Cursor {
  epoch: number;
  step: number;
}

/** Which batch of which run. */
export interface OrderOptions extends Cursor {
  /** How many items the data set has. */
  count: number;
  /** Items a step on all ranks together; a multiple of worldSize. */
  batch: number;
  /** Integer from 0 to 2^53 - 1. */
  seed: number;
  /** This process, from 0. Default 0. */
  rank?: number;
  /** How many processes share a batch. Default 1. */
  worldSize?: number;
}

/**
 * The items that one rank sees in one step of training: a pure function of its arguments.
 * Each epoch is a new permutation; its last batch is filled up from its own start; a rank has a contiguous share,
 * so that the union over ranks is the same batch for every worldSize.
 */
export function order(options: OrderOptions): number[] {
  return itemsOf(options, [...seedWords(options.seed), options.epoch]);
}

/** The items of one rank's share of a step, in the permutation of a key. */
function itemsOf(options: OrderOptions, key: readonly number[]): number[] {
  const { count, batch, step, rank = 0, worldSize = 1 } = options;
  checkOrder({ count, batch, rank, worldSize });
  const { start, end } = share(batch, { rank, worldSize });
  return range(step * batch + start, step * batch + end).map((position) => permute(position % count, count, key));
}

/** Which batch of which run over items in several buckets. */
export interface BucketOrderOptions extends Omit<OrderOptions, 'count'> {
  /** How many items each bucket has. */
  counts: readonly number[];
  /** Steps in a row that stay in one bucket. Default 1. */
  group?: number;
}

/**
 * The bucket that all ranks see in one step of training, and which of its items one rank sees: a pure function of its arguments.
 * Each epoch takes the groups of steps of all buckets in another order. A bucket's last group is filled up from the bucket's own
 * start; a single bucket is in `order`, whatever the group.
 */
export function bucketOrder(options: BucketOrderOptions): { bucket: number; items: number[] } {
  const { counts, group = 1, seed, epoch, step } = options;
  if (counts.length === 1) return { bucket: 0, items: order({ ...options, count: counts[0] as number }) };
  const groups = groupsOf(counts, options);
  const all = groups.reduce((sum, count) => sum + count, 0);
  const key = [...seedWords(seed), epoch];
  let place = permute(Math.floor(step / group), all, [...key, BUCKETS]);
  let bucket = 0;
  while (place >= (groups[bucket] as number)) place -= groups[bucket++] as number;
  const inside = { ...options, count: counts[bucket] as number, step: place * group + (step % group) };
  return { bucket, items: itemsOf(inside, [...key, bucket]) };
}

/** Steps of one epoch over several buckets, each one's last group filled up. */
export function bucketSteps(counts: readonly number[], sizes: { batch: number; group?: number }): number {
  if (counts.length === 1) return stepsPerEpoch(counts[0] as number, sizes.batch);
  return groupsOf(counts, sizes).reduce((sum, count) => sum + count, 0) * (sizes.group ?? 1);
}

/** Tells the permutation of groups from that of items. */
const BUCKETS = 0x6275636b;

const groupsOf = (counts: readonly number[], { batch, group = 1 }: { batch: number; group?: number }): number[] =>
  counts.map((count) => stepsPerEpoch(count, batch * group));

/** Steps of one epoch, the last one filled up. */
export function stepsPerEpoch(count: number, batch: number): number {
  return Math.ceil(count / batch);
}

/** The place after `cursor`. */
export function following(cursor: Cursor, stepsInEpoch: number): Cursor {
  const { epoch, step } = cursor;
  return step + 1 < stepsInEpoch ? { epoch, step: step + 1 } : { epoch: epoch + 1, step: 0 };
}

/** The contiguous part of `count` items that belongs to a rank; parts differ by at most one item. */
export function share(count: number, place: { rank: number; worldSize: number }): { start: number; end: number } {
  const { rank, worldSize } = place;
  return { start: Math.floor((count * rank) / worldSize), end: Math.floor((count * (rank + 1)) / worldSize) };
}

/** The integers from start (inclusive) to end (exclusive). */
export function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

function checkOrder(options: { count: number; batch: number; rank: number; worldSize: number }): void {
  const { count, batch, rank, worldSize } = options;
  check(count > 0, () => `order: count must be positive, got ${count}. Give a data set that holds something.`);
  check(
    Number.isInteger(batch) && batch > 0 && batch % worldSize === 0,
    () => `order: batch must be a positive multiple of worldSize ${worldSize}, got ${batch}. Choose another batch.`,
  );
  check(
    Number.isInteger(rank) && rank >= 0 && rank < worldSize,
    () => `order: rank must lie in 0..${worldSize - 1}, got ${rank}. Number the processes from 0.`,
  );
}

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
  const { count, batch, seed, epoch, step, rank = 0, worldSize = 1 } = options;
  checkOrder({ count, batch, rank, worldSize });
  const key = [...seedWords(seed), epoch];
  const { start, end } = share(batch, { rank, worldSize });
  return range(step * batch + start, step * batch + end).map((position) => permute(position % count, count, key));
}

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

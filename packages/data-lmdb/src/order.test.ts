import { describe, expect, it } from 'vitest';
import { bucketOrder, bucketSteps, following, order, range, share, stepsPerEpoch } from './order.ts';
import { hashWords, permute } from './random.ts';

const epochOf = (options: { count: number; batch: number; seed: number; epoch: number }): number[] =>
  range(0, stepsPerEpoch(options.count, options.batch)).flatMap((step) => order({ ...options, step }));

describe('permute', () => {
  it.each([1, 2, 3, 7, 64, 65, 1025])('of %i places is a permutation', (count) => {
    const places = range(0, count).map((position) => permute(position, count, [5, 0, 3]));
    expect(places.toSorted((a, b) => a - b)).toEqual(range(0, count));
  });

  it('puts every item in every place about equally often', () => {
    const count = 7;
    const epochs = 7000;
    const seen = range(0, count * count).map(() => 0);
    for (const epoch of range(0, epochs)) {
      for (const position of range(0, count)) {
        const cell = position * count + permute(position, count, [1, 0, epoch]);
        seen[cell] = (seen[cell] as number) + 1;
      }
    }
    // 1000 expected with a standard deviation of 29: five of them on either side.
    for (const times of seen) expect(Math.abs(times - epochs / count)).toBeLessThan(150);
  });
});

describe('order', () => {
  it('an epoch holds every item once when the batch divides the count', () => {
    const items = epochOf({ count: 21, batch: 7, seed: 4, epoch: 2 });
    expect(items.toSorted((a, b) => a - b)).toEqual(range(0, 21));
  });

  it('the last batch is filled up from the start of its epoch', () => {
    const items = epochOf({ count: 10, batch: 4, seed: 4, epoch: 0 });
    expect(items).toHaveLength(12);
    expect(items.slice(10)).toEqual(items.slice(0, 2));
  });

  it('a batch larger than the data set repeats it', () => {
    const items = order({ count: 3, batch: 7, seed: 0, epoch: 0, step: 0 });
    expect(items.slice(3, 6)).toEqual(items.slice(0, 3));
  });

  it.each([
    ['epoch', { seed: 1, epoch: 1 }],
    ['seed', { seed: 2, epoch: 0 }],
    ['high word of the seed', { seed: 1 + 2 ** 32, epoch: 0 }],
  ])('another %s is another order', (_name, other) => {
    const first = epochOf({ count: 65, batch: 13, seed: 1, epoch: 0 });
    const second = epochOf({ count: 65, batch: 13, ...other });
    expect(second).not.toEqual(first);
  });

  it('the ranks together see the batch of one process, whatever their number', () => {
    const options = { count: 37, batch: 12, seed: 9, epoch: 3, step: 2 };
    for (const worldSize of [1, 2, 3, 4, 6, 12]) {
      const together = range(0, worldSize).flatMap((rank) => order({ ...options, rank, worldSize }));
      expect(together).toEqual(order(options));
    }
  });

  it('stays the same from one release to the next', () => {
    expect(order({ count: 1025, batch: 7, seed: 42, epoch: 1, step: 3 })).toMatchInlineSnapshot(`
      [
        91,
        824,
        594,
        845,
        190,
        90,
        243,
      ]
    `);
    expect(hashWords(1, 2, 3)).toMatchInlineSnapshot(`3229197394`);
  });

  it.each([
    [{ count: 0, batch: 2 }, 'order: count must be positive, got 0. Give a data set that holds something.'],
    [
      { count: 5, batch: 3, worldSize: 2 },
      'order: batch must be a positive multiple of worldSize 2, got 3. Choose another batch.',
    ],
    [
      { count: 5, batch: 4, worldSize: 2, rank: 2 },
      'order: rank must lie in 0..1, got 2. Number the processes from 0.',
    ],
  ])('%o is refused', (options, message) => {
    expect(() => order({ seed: 1, epoch: 0, step: 0, ...options })).toThrow(message);
  });
});

describe('bucketOrder', () => {
  const counts = [10, 3, 8];
  const stepsOf = (options: { epoch: number; group?: number; seed?: number }): ReturnType<typeof bucketOrder>[] =>
    range(0, bucketSteps(counts, { batch: 4, ...options })).map((step) =>
      bucketOrder({ counts, batch: 4, seed: 6, step, ...options }),
    );

  it('an epoch holds every item of every bucket, batches of one bucket each', () => {
    const steps = stepsOf({ epoch: 1 });
    expect(steps).toHaveLength(3 + 1 + 2);
    for (const [bucket, count] of counts.entries()) {
      const own = steps.filter((step) => step.bucket === bucket);
      expect(own).toHaveLength(Math.ceil(count / 4));
      const items = own.flatMap((step) => step.items);
      expect([...new Set(items)].toSorted((a, b) => a - b)).toEqual(range(0, count));
    }
  });

  it('the order of the buckets is another one each epoch and for each seed', () => {
    const bucketsOf = (options: { epoch: number; seed?: number }): string =>
      stepsOf(options)
        .map(({ bucket }) => bucket)
        .join('');
    const seen = new Set(range(0, 20).map((epoch) => bucketsOf({ epoch })));
    expect(seen.size).toBeGreaterThan(10);
    expect(new Set([1, 2, 3, 4, 5].map((seed) => bucketsOf({ epoch: 0, seed }))).size).toBeGreaterThan(2);
  });

  it('a group of steps stays in one bucket and takes its items one after the other', () => {
    const steps = stepsOf({ epoch: 2, group: 3 });
    expect(steps).toHaveLength(3 * 3);
    for (const first of [0, 3, 6]) {
      const [{ bucket }] = steps.slice(first) as [ReturnType<typeof bucketOrder>];
      expect(steps.slice(first, first + 3).map((step) => step.bucket)).toEqual([bucket, bucket, bucket]);
      const items = steps.slice(first, first + 3).flatMap((step) => step.items);
      const count = counts[bucket] as number;
      expect(items.slice(0, count).toSorted((a, b) => a - b)).toEqual(range(0, count));
      expect(items.slice(count)).toEqual(items.slice(0, 12 - count));
    }
  });

  it('the ranks together see the batch of one process', () => {
    const options = { counts: [37, 5], batch: 12, seed: 9, epoch: 3, step: 2 };
    for (const worldSize of [2, 3, 12]) {
      const shares = range(0, worldSize).map((rank) => bucketOrder({ ...options, rank, worldSize }));
      expect(shares.flatMap(({ items }) => items)).toEqual(bucketOrder(options).items);
      expect(new Set(shares.map(({ bucket }) => bucket))).toEqual(new Set([bucketOrder(options).bucket]));
    }
  });

  it('a single bucket is in the order of a data set without buckets', () => {
    for (const step of range(0, 3))
      expect(bucketOrder({ counts: [10], batch: 4, seed: 6, epoch: 1, step, group: 2 })).toEqual({
        bucket: 0,
        items: order({ count: 10, batch: 4, seed: 6, epoch: 1, step }),
      });
    expect(bucketSteps([10], { batch: 4, group: 2 })).toBe(3);
  });

  it('stays the same from one release to the next', () => {
    expect(stepsOf({ epoch: 1 }).map(({ bucket, items }) => [bucket, ...items])).toMatchInlineSnapshot(`
      [
        [
          0,
          3,
          1,
          5,
          4,
        ],
        [
          1,
          0,
          1,
          2,
          0,
        ],
        [
          0,
          2,
          6,
          8,
          0,
        ],
        [
          2,
          2,
          5,
          4,
          0,
        ],
        [
          2,
          1,
          7,
          3,
          6,
        ],
        [
          0,
          9,
          7,
          2,
          6,
        ],
      ]
    `);
  });
});

describe('share', () => {
  it.each([0, 1, 7, 10])('splits %i items evenly and without a gap', (count) => {
    const parts = range(0, 3).map((rank) => share(count, { rank, worldSize: 3 }));
    expect(parts.flatMap(({ start, end }) => range(start, end))).toEqual(range(0, count));
    const sizes = parts.map(({ start, end }) => end - start);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  });
});

it('the step after the last of an epoch is the first of the next', () => {
  expect(following({ epoch: 4, step: 1 }, 3)).toEqual({ epoch: 4, step: 2 });
  expect(following({ epoch: 4, step: 2 }, 3)).toEqual({ epoch: 5, step: 0 });
});

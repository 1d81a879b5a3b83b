import { describe, expect, it } from 'vitest';
import { following, order, range, share, stepsPerEpoch } from './order.ts';
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

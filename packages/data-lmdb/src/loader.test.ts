import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { batchesPerEpoch, loadBatches, loadEvaluation, type Batch, type TrainingOptions } from './loader.ts';
import { range } from './order.ts';
import { pack } from './pack.ts';
import { hashWords } from './random.ts';
import { openPack, type Pack } from './reader.ts';
import { folderSource } from './sources.ts';
import { plainPng, writeColors, writeFiles } from './testing/pictures.ts';
import { temporaryFolder } from './testing/temporary.ts';
import { createPack } from './writer.ts';

async function colors(count: number): Promise<Pack> {
  const folder = await temporaryFolder();
  await writeColors(join(folder, 'in'), count);
  const path = join(folder, 'colors.lmdb');
  await pack(await folderSource(join(folder, 'in')), path);
  const reader = await openPack(path);
  onTestFinished(() => reader.close());
  return reader;
}

/** Pictures of 6 x 6, 8 x 6 and 5 x 9 pixels, `a0` on, `b0` on, `c0` on. */
async function shapes(counts: Readonly<Record<'a' | 'b' | 'c', number>>): Promise<Pack> {
  const folder = await temporaryFolder();
  const sides = { a: [6, 6], b: [8, 6], c: [5, 9] } satisfies Record<string, [number, number]>;
  for (const [name, count] of Object.entries(counts) as ['a' | 'b' | 'c', number][])
    for (let i = 0; i < count; i++)
      await writeFiles(join(folder, 'in'), {
        [`${name}${i}.png`]: await plainPng(...sides[name], [i, 0, 0]),
        [`${name}${i}.txt`]: `${name} ${i}`,
      });
  const path = join(folder, 'shapes.lmdb');
  await pack(await folderSource(join(folder, 'in')), path);
  const reader = await openPack(path);
  onTestFinished(() => reader.close());
  return reader;
}

async function take(batches: AsyncIterable<Batch>, count: number): Promise<Batch[]> {
  const taken: Batch[] = [];
  for await (const batch of batches) if (taken.push(batch) === count) break;
  return taken;
}

const numberOf = (key: string): number => Number(key.slice(1));

describe('loadBatches', () => {
  it('yields the pictures of its keys as planes in [-1, 1] with one of their captions', async () => {
    const packs = [await colors(7)];
    for (const batch of await take(loadBatches({ packs, batch: 3, size: 5, seed: 1 }), 4)) {
      expect(batch.shape).toEqual([3, 3, 5, 5]);
      expect(batch.images).toHaveLength(3 * 3 * 25);
      batch.keys.forEach((key, i) => {
        const n = numberOf(key);
        expect([`number ${n}`, `the picture after ${n - 1}`]).toContain(batch.captions[i]);
        for (const [channel, level] of [n, 2 * n, 255 - n].entries()) {
          const plane = batch.images.subarray((i * 3 + channel) * 25, (i * 3 + channel + 1) * 25);
          expect(new Set(plane)).toEqual(new Set([Math.fround(level / 127.5 - 1)]));
        }
      });
    }
  });

  it('yields the same but for the pictures where nothing is to be decoded', async () => {
    const options: TrainingOptions = {
      packs: [await shapes({ a: 3, b: 2, c: 4 })],
      batch: 2,
      size: [
        { height: 6, width: 6 },
        { height: 9, width: 5 },
      ],
      seed: 5,
    };
    const decoded = await take(loadBatches(options), 9);
    const bare = await take(loadBatches({ ...options, decode: false }), 9);
    expect(bare).toEqual(decoded.map((batch) => ({ ...batch, images: new Float32Array() })));
    expect(decoded.every(({ images, shape: [B, , H, W] }) => images.length === B * 3 * H * W)).toBe(true);
  });

  it('a run resumed at any cursor yields exactly what the unbroken run does', async () => {
    const options: TrainingOptions = { packs: [await colors(7)], batch: 3, size: 3, seed: 5 };
    const unbroken = await take(loadBatches(options), 9);
    expect(unbroken.map(({ cursor }) => `${cursor.epoch}.${cursor.step}`)).toEqual([
      '0.1',
      '0.2',
      '1.0',
      '1.1',
      '1.2',
      '2.0',
      '2.1',
      '2.2',
      '3.0',
    ]);
    for (const stop of [0, 2, 4]) {
      const start = (unbroken[stop] as Batch).cursor;
      const resumed = await take(loadBatches({ ...options, start, cacheBytes: 0, threads: 1, prefetch: 0 }), 4);
      expect(resumed).toEqual(unbroken.slice(stop + 1, stop + 5));
    }
  });

  it('two ranks together see what one process sees', async () => {
    const options: TrainingOptions = { packs: [await colors(5)], batch: 4, size: 3, seed: 2 };
    const alone = await take(loadBatches(options), 3);
    const first = await take(loadBatches({ ...options, rank: 0, worldSize: 2 }), 3);
    const second = await take(loadBatches({ ...options, rank: 1, worldSize: 2 }), 3);
    alone.forEach((batch, i) => {
      expect([...(first[i] as Batch).keys, ...(second[i] as Batch).keys]).toEqual(batch.keys);
      expect([...(first[i] as Batch).captions, ...(second[i] as Batch).captions]).toEqual(batch.captions);
    });
  });

  it('draws each caption of a picture in some epoch, or the main one alone when asked to', async () => {
    const options: TrainingOptions = { packs: [await colors(1)], batch: 1, size: 3, seed: 3 };
    const drawn = await take(loadBatches(options), 20);
    expect(new Set(drawn.flatMap(({ captions }) => captions))).toEqual(new Set(['number 0', 'the picture after -1']));
    const main = await take(loadBatches({ ...options, caption: 'first' }), 20);
    expect(new Set(main.flatMap(({ captions }) => captions))).toEqual(new Set(['number 0']));
  });

  it('keys, labels and take narrow the data set, over several packs', async () => {
    const path = join(await temporaryFolder(), 'labelled.lmdb');
    const packs = [await colors(5)];
    const writer = await createPack(path);
    for (const key of ['x', 'y']) {
      const { image, ...record } = (packs[0] as Pack).get('p03');
      writer.put(key, { ...record, labels: { kind: key } }, image);
    }
    await writer.commit();
    packs.push(await openPack(path));
    onTestFinished(() => (packs[1] as Pack).close());
    const keysOf = async (selection: Partial<TrainingOptions>): Promise<string[]> => {
      const batches = loadEvaluation({ packs, batch: 2, size: 3, ...selection });
      return (await take(batches, 99)).flatMap(({ keys }) => keys);
    };
    expect(await keysOf({})).toEqual(['p00', 'p01', 'p02', 'p03', 'p04', 'x', 'y']);
    expect(await keysOf({ take: 2 })).toEqual(['p00', 'p01']);
    expect(await keysOf({ keys: ['x', 'p04', 'p01'], take: 2 })).toEqual(['x', 'p04']);
    expect(await keysOf({ labels: { kind: ['y', 'z'] } })).toEqual(['y']);
    await expect(keysOf({ keys: ['nope'] })).rejects.toThrow(
      'load: key must be in one of the packs, got nope. See keys().',
    );
    await expect(keysOf({ labels: { kind: [] } })).rejects.toThrow(
      'load: selection must hold at least one picture, got none. Widen keys or labels.',
    );
  });

  it('makes no more batches ahead than it was told to', async () => {
    const inner = await colors(9);
    let reads = 0;
    const get = (key: string): ReturnType<Pack['get']> => (reads++, inner.get(key));
    const counting = Object.assign(Object.create(inner) as Pack, { get });
    const batches = loadBatches({ packs: [counting], batch: 3, size: 3, seed: 1, prefetch: 1 });
    await batches.next();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(reads).toBe(6);
    await batches.return();
  });

  it('decodes each picture once when all of them fit into the cache', async () => {
    const inner = await colors(4);
    let reads = 0;
    const get = (key: string): ReturnType<Pack['get']> => (reads++, inner.get(key));
    const counting = Object.assign(Object.create(inner) as Pack, { get });
    await take(loadBatches({ packs: [counting], batch: 4, size: 3, seed: 1 }), 5);
    expect(reads).toBe(4);
  });

  it('a broken picture in a pack is named', async () => {
    const path = join(await temporaryFolder(), 'broken.lmdb');
    const writer = await createPack(path);
    const record = { captions: ['c'], width: 1, height: 1, mime: 'image/png', source: 's', labels: {} };
    writer.put('bad', record, new Uint8Array([1, 2, 3]));
    await writer.commit();
    const reader = await openPack(path);
    onTestFinished(() => reader.close());
    await expect(take(loadBatches({ packs: [reader], batch: 1, size: 3, seed: 1 }), 1)).rejects.toThrow(
      'loadBatches: picture bad must be readable, got 3 damaged bytes in ' + `${path}. Pack the data again.`,
    );
  });

  it('a cursor beyond the epoch is refused', async () => {
    const packs = [await colors(2)];
    const start = { epoch: 0, step: 2 };
    await expect(take(loadBatches({ packs, batch: 1, size: 3, seed: 1, start }), 1)).rejects.toThrow(
      'loadBatches: start.step must lie in 0..1, got 2. Begin with the cursor of this data.',
    );
  });
});

describe('a run that is cut anywhere and goes on with another number of ranks', () => {
  /** What all ranks of a world see together from a cursor on. */
  async function together(options: TrainingOptions, worldSize: number, count: number): Promise<Batch[]> {
    const ranks = await Promise.all(
      range(0, worldSize).map((rank) => take(loadBatches({ ...options, rank, worldSize }), count)),
    );
    return range(0, count).map((i) => {
      const parts = ranks.map((batches) => batches[i] as Batch);
      const [, channels, height, width] = parts[0]!.shape;
      return {
        ...parts[0]!,
        images: Float32Array.from(parts.flatMap(({ images }) => [...images])),
        shape: [parts.reduce((sum, { shape }) => sum + shape[0], 0), channels, height, width],
        captions: parts.flatMap(({ captions }) => captions),
        keys: parts.flatMap(({ keys }) => keys),
      };
    });
  }

  it('sees exactly the batches of the unbroken run of one process: 30 random cuts, worlds of 1 to 6, by weight too', async () => {
    const sizes = [
      { height: 4, width: 4 },
      { height: 3, width: 5 },
    ];
    const packs = [await shapes({ a: 7, b: 4, c: 3 }), await colors(9)];
    const random = (n: number, below: number): number => hashWords(n, below) % below;
    for (const [variant, more] of [
      { size: 3 },
      { size: sizes, group: 2 },
      { size: sizes, weights: [1, 4] },
    ].entries()) {
      const options: TrainingOptions = { packs, batch: 12, seed: 11 + variant, ...more };
      const steps = 24;
      const unbroken = await together(options, 1, steps);
      for (const cut of range(0, 10)) {
        const stop = random(100 * variant + cut, steps - 4);
        const worldSize = [1, 2, 3, 4, 6][cut % 5] as number;
        const start = (unbroken[stop] as Batch).cursor;
        const resumed = await together({ ...options, start }, worldSize, 3);
        expect(resumed, `variant ${variant}, cut at ${stop}, ${worldSize} ranks`).toEqual(
          unbroken.slice(stop + 1, stop + 4),
        );
      }
    }
  });
});

describe('packs by weight', () => {
  it('are seen as often as their weights say, one batch like another', async () => {
    const packs = [await shapes({ a: 7, b: 0, c: 0 }), await colors(9)];
    const epoch = await take(loadBatches({ packs, batch: 4, size: 3, seed: 1, weights: [3, 1] }), 4);
    const keys = epoch.flatMap((batch) => batch.keys);
    expect(keys.filter((key) => key.startsWith('a'))).toHaveLength(12);
    expect(epoch.at(-1)!.cursor).toEqual({ epoch: 1, step: 0 });
  });

  it('draw another caption at each visit within an epoch', async () => {
    const packs = [await shapes({ a: 8, b: 8, c: 4 }), await colors(1)];
    const [batch] = await take(loadBatches({ packs, batch: 20, size: 3, seed: 1, weights: [1, 20] }), 1);
    const captions = batch!.captions.filter((_, i) => batch!.keys[i] === 'p00');
    expect(captions.length).toBeGreaterThan(15);
    expect(new Set(captions)).toEqual(new Set(['number 0', 'the picture after -1']));
  });

  it.each([[[1]], [[1, 0]], [[1, Number.NaN]]])('%j for two packs is refused', async (weights) => {
    const packs = [await colors(1), await colors(2)];
    await expect(take(loadBatches({ packs, batch: 1, size: 3, seed: 1, weights }), 1)).rejects.toThrow(
      `loadBatches: weights must be a positive number for each of the 2 packs, got [${weights.join(', ')}]. Correct the list.`,
    );
  });
});

describe('batchesPerEpoch', () => {
  const size = [
    { height: 6, width: 6 },
    { height: 6, width: 8 },
    { height: 9, width: 5 },
  ];

  it.each<Partial<TrainingOptions>>([
    {},
    { batch: 9 },
    { size },
    { size, group: 3 },
    { size, group: 2, rank: 1, worldSize: 2 },
    { size, weights: [1, 7] },
    { keys: ['a0', 'a1', 'c2'], size },
  ])('is how many batches of %j come before the next epoch begins', async (some) => {
    const packs = [await shapes({ a: 5, b: 3, c: 4 }), await colors(4)];
    const options: TrainingOptions = { packs, batch: 2, size: 6, seed: 3, decode: false, ...some };
    const count = batchesPerEpoch(options);
    const cursors = (await take(loadBatches(options), count)).map(({ cursor }) => cursor);
    expect(cursors.at(-1)).toEqual({ epoch: 1, step: 0 });
    expect(cursors.slice(0, -1).every(({ epoch }) => epoch === 0)).toBe(true);
  });
});

describe('pictures that are not square', () => {
  const size = [
    { height: 4, width: 4 },
    { height: 3, width: 5 },
    { height: 5, width: 3 },
  ];
  const shapeOf: Readonly<Record<string, readonly number[]>> = { a: [4, 4], b: [3, 5], c: [5, 3] };

  it('come in batches of one size, each picture at the size of the nearest ratio', async () => {
    const packs = [await shapes({ a: 5, b: 3, c: 2 })];
    const epoch = await take(loadBatches({ packs, batch: 2, size, seed: 1 }), 3 + 2 + 1);
    for (const { keys, shape, images } of epoch) {
      expect(shape).toEqual([2, 3, ...(shapeOf[keys[0]![0]!] as readonly number[])]);
      expect(new Set(keys.map((key) => key[0])).size).toBe(1);
      expect(images).toHaveLength(shape.reduce((product, side) => product * side, 1));
      keys.forEach((key, i) => {
        const plane = images.subarray((i * images.length) / 2, (i * images.length) / 2 + images.length / 6);
        expect(new Set(plane)).toEqual(new Set([Math.fround(numberOf(key) / 127.5 - 1)]));
      });
    }
    expect([...new Set(epoch.flatMap(({ keys }) => keys))].toSorted()).toEqual((packs[0] as Pack).keys());
    expect(epoch.at(-1)!.cursor).toEqual({ epoch: 1, step: 0 });
  });

  it('a run resumed at any cursor, and two ranks together, yield what the unbroken run of one does', async () => {
    const options: TrainingOptions = { packs: [await shapes({ a: 7, b: 4, c: 3 })], batch: 2, size, seed: 5, group: 2 };
    const unbroken = await take(loadBatches(options), 14);
    for (const stop of [0, 5, 7]) {
      const start = (unbroken[stop] as Batch).cursor;
      const resumed = await take(loadBatches({ ...options, start, cacheBytes: 0, threads: 1, prefetch: 0 }), 5);
      expect(resumed).toEqual(unbroken.slice(stop + 1, stop + 6));
    }
    const ranks = await Promise.all(
      [0, 1].map((rank) => take(loadBatches({ ...options, rank, worldSize: 2 }), unbroken.length)),
    );
    unbroken.forEach((batch, i) => {
      expect(ranks.flatMap((rank) => (rank[i] as Batch).keys)).toEqual(batch.keys);
      expect(ranks.map((rank) => (rank[i] as Batch).shape[2])).toEqual([batch.shape[2], batch.shape[2]]);
    });
  });

  it('keep their order when they are of one shape: the sizes that nobody has do not matter', async () => {
    const options = { packs: [await shapes({ a: 5, b: 0, c: 0 })], batch: 2, seed: 3 };
    const [bucketed, square] = [
      await take(loadBatches({ ...options, size }), 7),
      await take(loadBatches({ ...options, size: 4 }), 7),
    ];
    expect(bucketed).toEqual(square);
  });

  it('are evaluated once each, size by size; ranks share them', async () => {
    const packs = [await shapes({ a: 3, b: 2, c: 1 })];
    const batches = await take(loadEvaluation({ packs, batch: 2, size }), 99);
    expect(batches.map(({ keys }) => keys)).toEqual([['a0', 'a1'], ['a2'], ['b0', 'b1'], ['c0']]);
    const shares = [0, 1].map((rank) => take(loadEvaluation({ packs, batch: 2, size, rank, worldSize: 2 }), 99));
    const keys = (await Promise.all(shares)).flat().flatMap((batch) => batch.keys);
    expect(keys).toEqual((packs[0] as Pack).keys());
  });

  it('without a size are refused', async () => {
    await expect(take(loadBatches({ packs: [await colors(1)], batch: 1, size: [], seed: 1 }), 1)).rejects.toThrow(
      'load: size must be a number or list at least one size, got an empty list. Name one.',
    );
  });
});

describe('loadEvaluation', () => {
  it('yields each picture once in order with its main caption, the rest in the last batch', async () => {
    const packs = [await colors(5)];
    const batches = await take(loadEvaluation({ packs, batch: 2, size: 3 }), 99);
    expect(batches.map(({ keys }) => keys)).toEqual([['p00', 'p01'], ['p02', 'p03'], ['p04']]);
    expect(batches.at(-1)).toMatchObject({ shape: [1, 3, 3, 3], captions: ['number 4'] });
    expect(await take(loadEvaluation({ packs, batch: 2, size: 3, skip: 2 }), 99)).toEqual(batches.slice(2));
  });

  it('ranks share the pictures without a gap or an overlap', async () => {
    const packs = [await colors(7)];
    const shares = [0, 1, 2].map((rank) => take(loadEvaluation({ packs, batch: 2, size: 3, rank, worldSize: 3 }), 99));
    const keys = (await Promise.all(shares)).flat().flatMap((batch) => batch.keys);
    expect(keys).toEqual((packs[0] as Pack).keys());
  });
});

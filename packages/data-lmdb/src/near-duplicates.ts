import { decodeSingleThreaded } from './decode.ts';
import { check } from './errors.ts';
import { bitDistance, colorDistance, type Fingerprint, fingerprintOf } from './fingerprint.ts';
import { mapOrdered } from './parallel.ts';
import type { Pack } from './reader.ts';
import type { PictureSize } from './buckets.ts';

/** How to look for pictures that are there twice. */
export interface DuplicateOptions {
  /** Bits of 63 in which pictures may differ, 0 to 15. Default 4, which finds all but a few of those encoded or resized anew. */
  distance?: number;
  /** Pictures decoded at a time. Default 2. */
  threads?: number;
  /** Called after each picture. */
  onProgress?: (progress: { done: number; total: number }) => void;
  /** Stops with the signal's reason. */
  signal?: AbortSignal;
}

/** A picture that looks like others. */
export interface Duplicate {
  /** Path of its pack. */
  pack: string;
  key: string;
  /** Bits in which it differs from the first of its group. */
  distance: number;
}

/** Mean colours may differ by so many levels: a red and a blue disc are no duplicates. */
const COLOR_DISTANCE = 8;
const BITS = 63;

interface Seen extends PictureSize {
  pack: string;
  key: string;
  print: Fingerprint;
}

/**
 * Groups of pictures that look alike, by perceptual hash and mean colours; the first of each group has the most pixels.
 * What is alike by way of a third is in one group.
 */
export async function nearDuplicates(packs: readonly Pack[], options: DuplicateOptions = {}): Promise<Duplicate[][]> {
  const { distance = 4 } = options;
  check(
    Number.isInteger(distance) && distance >= 0 && distance <= 15,
    () => `nearDuplicates: distance must be a whole number from 0 to 15, got ${distance}. Choose another.`,
  );
  const seen = await fingerprints(packs, options);
  const groups = groupsOf(seen, alikePairs(seen, distance));
  return groups.map((members) => {
    const sorted = members.toSorted((a, b) => b.width * b.height - a.width * a.height);
    const [first] = sorted as [Seen];
    return sorted.map(({ pack, key, print }) => ({ pack, key, distance: bitDistance(first.print, print) }));
  });
}

async function fingerprints(packs: readonly Pack[], options: DuplicateOptions): Promise<Seen[]> {
  const { threads = 2, onProgress, signal } = options;
  decodeSingleThreaded();
  const items = packs.flatMap((pack) => pack.keys().map((key) => ({ pack, key })));
  const seen: Seen[] = [];
  const look = async ({ pack, key }: { pack: Pack; key: string }): Promise<Seen> => {
    const { image, width, height } = pack.get(key);
    return { pack: pack.path, key, width, height, print: await fingerprintOf(image) };
  };
  for await (const one of mapOrdered(items, threads, look)) {
    signal?.throwIfAborted();
    seen.push(one);
    onProgress?.({ done: seen.length, total: items.length });
  }
  return seen;
}

/**
 * Indices of pictures that are alike. Two that differ in at most d bits agree in one of d + 1 bands of them, so that only those of one
 * band's value are compared.
 */
function* alikePairs(seen: readonly Seen[], distance: number): Generator<[number, number], void, undefined> {
  for (let band = 0; band <= distance; band++) {
    for (const members of byBand(seen, { band, bands: distance + 1 }).values()) {
      for (const [i, a] of members.entries())
        for (const b of members.slice(0, i)) {
          const [one, other] = [(seen[a] as Seen).print, (seen[b] as Seen).print];
          if (bitDistance(one, other) <= distance && colorDistance(one, other) <= COLOR_DISTANCE) yield [b, a];
        }
    }
  }
}

function byBand(seen: readonly Seen[], { band, bands }: { band: number; bands: number }): Map<bigint, number[]> {
  const [start, end] = [band, band + 1].map((edge) => BigInt(Math.round((BITS * edge) / bands))) as [bigint, bigint];
  const groups = new Map<bigint, number[]>();
  for (const [index, { print }] of seen.entries()) {
    const word = BigInt(print.bits[0]) | (BigInt(print.bits[1]) << 32n);
    const value = BigInt.asUintN(Number(end - start), word >> start);
    const group = groups.get(value);
    if (group === undefined) groups.set(value, [index]);
    else group.push(index);
  }
  return groups;
}

/** Everything that pairs connect, in the order of the first members; single pictures are left out. */
function groupsOf(seen: readonly Seen[], pairs: Iterable<[number, number]>): Seen[][] {
  const parents = [...seen.keys()];
  const rootOf = (index: number): number => {
    const parent = parents[index] as number;
    return parent === index ? index : (parents[index] = rootOf(parent));
  };
  for (const [a, b] of pairs) {
    const [low, high] = [rootOf(a), rootOf(b)].toSorted((x, y) => x - y) as [number, number];
    parents[high] = low;
  }
  const groups = new Map<number, Seen[]>();
  for (const [index, one] of seen.entries()) {
    const root = rootOf(index);
    groups.set(root, [...(groups.get(root) ?? []), one]);
  }
  return [...groups.values()].filter(({ length }) => length > 1);
}

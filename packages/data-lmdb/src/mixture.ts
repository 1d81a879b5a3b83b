import type { Bucket } from './buckets.ts';
import { check } from './errors.ts';
import { permute, seedWords } from './random.ts';

/** One item as an epoch meets it. */
export interface Visit {
  item: number;
  /** How many times all items of its source were visited before. */
  pass: number;
}

/** Which place of which bucket's epoch. */
interface VisitPlace {
  bucket: number;
  place: number;
  epoch: number;
}

/** How the epochs of several buckets are made of their items. */
export interface Mixture {
  /** Visits of an epoch in each bucket. */
  counts: number[];
  visitAt: (place: VisitPlace) => Visit;
}

/** Every item once an epoch. */
export function plainMixture(buckets: readonly Bucket[]): Mixture {
  return {
    counts: buckets.map(({ members }) => members.length),
    visitAt: ({ bucket, place, epoch }) => ({ item: buckets[bucket]?.members[place] as number, pass: epoch }),
  };
}

/** What one source gives to a bucket's epoch. */
interface Portion {
  members: number[];
  visits: number;
}

/** Tells the permutation of a source's items from that of an epoch's places. */
const MIXTURE = 0x6d697874;

/**
 * Sources by their weights: a place belongs to the same source in every epoch, and each source goes through all its items of a bucket in a
 * new permutation before any comes again, however many epochs that takes or however often it happens in one.
 */
export function weightedMixture(
  buckets: readonly Bucket[],
  { sources, weights, seed }: { sources: readonly number[]; weights: readonly number[]; seed: number },
): Mixture {
  const portions = portionsOf(buckets, sources, weights);
  return {
    counts: portions.map((bucket) => bucket.reduce((sum, { visits }) => sum + visits, 0)),
    visitAt: ({ bucket, place, epoch }) => {
      const own = portions[bucket] as Portion[];
      let [source, rest] = [0, place];
      while (rest >= (own[source] as Portion).visits) rest -= (own[source++] as Portion).visits;
      const { members, visits } = own[source] as Portion;
      const visit = epoch * visits + rest;
      const pass = Math.floor(visit / members.length);
      const key = [...seedWords(seed), pass, MIXTURE, bucket, source];
      return { item: members[permute(visit % members.length, members.length, key)] as number, pass };
    },
  };
}

/** An epoch has about as many visits as there are items; a portion that holds any has at least one, so that nothing is never seen. */
function portionsOf(buckets: readonly Bucket[], sources: readonly number[], weights: readonly number[]): Portion[][] {
  const sizes = weights.map((_, source) => sources.filter((other) => other === source).length);
  const present = weights.filter((_, source) => (sizes[source] as number) > 0);
  const sum = present.reduce((all, weight) => all + weight, 0);
  return buckets.map(({ members }) =>
    weights.map((weight, source) => {
      const own = members.filter((item) => sources[item] === source);
      const share = (weight / sum) * (own.length / (sizes[source] as number));
      return { members: own, visits: own.length === 0 ? 0 : Math.max(1, Math.round(share * sources.length)) };
    }),
  );
}

/** Throws unless there is a positive weight for each pack. */
export function checkWeights(weights: readonly number[], packs: number): void {
  check(
    weights.length === packs && weights.every((weight) => weight > 0 && Number.isFinite(weight)),
    () =>
      `loadBatches: weights must be a positive number for each of the ${packs} packs, got [${weights.join(', ')}]. Correct the list.`,
  );
}

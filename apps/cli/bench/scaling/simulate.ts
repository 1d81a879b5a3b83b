/** Gradients that travel together: their bytes, and when the host has them. */
export interface Bucket {
  readonly bytes: number;
  /** Milliseconds from the start of the step. */
  readonly ready: number;
}

/** A step of one rank whose sums cost nothing. */
export interface Timeline {
  /** In the order in which they leave. */
  readonly buckets: readonly Bucket[];
  /** Milliseconds of the whole step. */
  readonly end: number;
}

/** What connects the ranks. */
export interface Network {
  /** Milliseconds of a message's way. */
  readonly latency: number;
  /** Bytes that a rank sends, and as many that it receives, in a millisecond. */
  readonly bandwidth: number;
}

/** Milliseconds that a rank's own processor and memory take for a sum of so many bytes. */
export type HostTime = (bytes: number) => number;

/** The numbers of each step that are no gradients: its loss and metrics, and the wish to stop. */
const smallSum = 4096;

/** The same step where all of it takes so many times as long. */
export const stretched = ({ buckets, end }: Timeline, times: number): Timeline => ({
  buckets: buckets.map(({ bytes, ready }) => ({ bytes, ready: ready * times })),
  end: end * times,
});

/**
 * Milliseconds of a step on so many ranks. Buckets are added up one after the other while the step goes on; the update waits for the last.
 * Each sum is two exchanges, in which a rank sends and receives all but its own part; nothing of host and network is taken to overlap.
 */
export function stepTime(timeline: Timeline, ranks: number, { latency, bandwidth }: Network, host: HostTime): number {
  const sumTime = (bytes: number): number => host(bytes) + 2 * (latency + (bytes * (ranks - 1)) / ranks / bandwidth);
  let added = 0;
  let last = 0;
  for (const { bytes, ready } of timeline.buckets) {
    added = Math.max(added, ready) + sumTime(bytes);
    last = ready;
  }
  const update = timeline.end - last;
  return added + update + sumTime(smallSum);
}

/** Host time of any size, between the measured ones on a straight line. `times` are those of `sizes`, which ascend. */
export function hostTimeOf(sizes: readonly number[], times: readonly number[]): HostTime {
  return (bytes) => {
    const found = sizes.findIndex((size) => size >= bytes);
    const i = Math.max(1, found < 0 ? sizes.length - 1 : found);
    const [a, b] = [sizes[i - 1]!, sizes[i]!];
    return times[i - 1]! + ((times[i]! - times[i - 1]!) * (bytes - a)) / (b - a);
  };
}

/** How gradients travel between processes: as they are, or as halves for half the bytes. */
export type WireType = 'f32' | 'f16';

/** The processes that train one model together, as one of them sees them. All of them make the same calls in the same order. */
export interface Communicator {
  /** This process, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** This process among those of its machine, from 0. */
  readonly localRank: number;
  /** Memory for `allReduceSum`. */
  allocate(bytes: number): Uint8Array;
  /**
   * Sums over all ranks, in place of the values: added up in f32 in the order of ranks, whatever the network, so that every rank and
   * every run has the same bits. Memory of `allocate`, whole words of it.
   */
  allReduceSum(values: Uint8Array, type: WireType): Promise<void>;
  /** What every rank gives, in the order of ranks; the same number of bytes from each. */
  allGather(bytes: Uint8Array): Promise<readonly Uint8Array[]>;
  /** Puts what rank 0 has in place of the bytes. */
  broadcast(bytes: Uint8Array): Promise<void>;
  /** Resolves when every rank has come here. */
  barrier(): Promise<void>;
  /** Ends all processes; the reason is said on stderr. */
  abort(reason: string): Promise<never>;
  /** Leaves the others in peace: the last call. */
  close(): Promise<void>;
}

const done = Promise.resolve();

/** A process by itself: nothing is exchanged. */
export const singleProcess: Communicator = {
  rank: 0,
  size: 1,
  localRank: 0,
  allocate: (bytes) => new Uint8Array(bytes),
  allReduceSum: () => done,
  allGather: async (bytes) => [bytes],
  broadcast: () => done,
  barrier: () => done,
  abort: (reason) => Promise.reject(new Error(reason)),
  close: () => done,
};

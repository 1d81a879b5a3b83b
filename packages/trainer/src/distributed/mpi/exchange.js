// Messages between ranks, with an eye on the clock: a wait that is too long says whose message is missing.

/** @typedef {{ readonly peer: number, readonly bytes: Uint8Array }} Transfer */

const spins = 50;
/** Milliseconds between two looks: a message within a machine takes less, one that waits for a slower rank far more. */
const pauses = { first: 0.1, later: 1, after: 5 };
/** MPI promises tags up to here. */
const tags = 2 ** 15;

/** Sends and receives by MPI; every rank makes the same exchanges in the same order. */
export class Exchange {
  #mpi;
  #timeout;
  #isAborted;
  #count = 0;
  #sleeper = new Int32Array(new SharedArrayBuffer(4));

  /**
   * @param {import('./library.js').Mpi} mpi
   * @param {{ timeoutSeconds: number, isAborted: () => boolean }} options
   */
  constructor(mpi, { timeoutSeconds, isAborted }) {
    this.#mpi = mpi;
    this.#timeout = 1000 * timeoutSeconds;
    this.#isAborted = isAborted;
  }

  /**
   * Returns when all is received and sent.
   * @param {{ receives: readonly Transfer[], sends: readonly Transfer[], purpose: string }} transfers
   */
  run({ receives, sends, purpose }) {
    const { call, handles, requests: requestArray } = this.#mpi;
    const tag = this.#count++ % tags;
    const requests = requestArray(receives.length + sends.length);
    const start = (name, transfers, from) =>
      transfers.forEach(({ peer, bytes }, i) => {
        const request = requests.subarray(from + i, from + i + 1);
        this.check(call[name](bytes, bytes.length, handles.byte, peer, tag, handles.world, request));
      });
    start('Irecv', receives, 0);
    start('Isend', sends, receives.length);
    this.#wait(requests, { peers: [...receives, ...sends].map(({ peer }) => peer), purpose });
  }

  /** @param {Int32Array | BigUint64Array} requests @param {{ peers: readonly number[], purpose: string }} what */
  #wait(requests, what) {
    const { call, ignoreStatuses } = this.#mpi;
    const started = performance.now();
    const flag = [0];
    for (let looks = 0; ; looks++) {
      this.check(call.Testall(requests.length, requests, flag, ignoreStatuses));
      if (flag[0]) return;
      if (looks < spins) continue;
      const waited = performance.now() - started;
      if (this.#isAborted()) this.abort();
      if (waited > this.#timeout) throw new Error(this.#overdue(requests, what));
      Atomics.wait(this.#sleeper, 0, 0, waited < pauses.after ? pauses.first : pauses.later);
    }
  }

  /** @param {Int32Array | BigUint64Array} requests @param {{ peers: readonly number[], purpose: string }} what */
  #overdue(requests, { peers, purpose }) {
    const { call, ignoreStatuses } = this.#mpi;
    const flag = [0];
    const isOpen = (/** @type {number} */ i) => {
      this.check(call.Test(requests.subarray(i, i + 1), flag, ignoreStatuses));
      return !flag[0];
    };
    const missing = [...new Set(peers.filter((_, i) => isOpen(i)))].toSorted((a, b) => a - b);
    return `mpi: every rank must take part in the ${purpose} within ${this.#timeout / 1000} s, got nothing of rank ${missing.join(', ')}. See what those ranks do; STAR_MPI_TIMEOUT is the limit in seconds.`;
  }

  /** Ends all ranks. */
  abort() {
    this.#mpi.call.Abort(this.#mpi.handles.world, 1);
  }

  /** @param {number} code What a function of MPI returned. */
  check(code) {
    if (code === 0) return;
    const [text, length] = [new Uint8Array(1024), [0]];
    this.#mpi.call.Error_string(code, text, length);
    throw new Error(`mpi: ${new TextDecoder().decode(text.subarray(0, length[0]))}`);
  }
}

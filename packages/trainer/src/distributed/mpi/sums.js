// Sums over ranks of one part of a bucket, always in the order of ranks.

/** Values of all 65,536 halves. */
const halfValues = Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
  const [sign, exponent, mantissa] = [bits & 0x8000 ? -1 : 1, (bits >>> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * (1 + mantissa / 1024) * 2 ** (exponent - 15) : sign * mantissa * 2 ** -24;
});

/**
 * Rounds floats to the nearest halves, ties to even.
 * @param {Float32Array} values @param {Uint16Array} into
 */
function toHalves(values, into) {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    const sign = (bits[i] >>> 16) & 0x8000;
    const magnitude = bits[i] & 0x7fffffff;
    if (magnitude >= 0x47800000) into[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    else if (magnitude >= 0x38800000)
      into[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    else {
      // The last bit of a half below 2^-14 is the last bit of a float from 0.5 to 1: adding 0.5 rounds to it.
      values[i] = Math.abs(values[i]) + 0.5;
      into[i] = sign | (bits[i] - 0x3f000000);
    }
  }
}

/**
 * Adds up halves in f32 and rounds once.
 * @param {readonly Uint16Array[]} parts one of each rank, in their order
 * @param {Uint16Array} into
 */
function addHalves([first, ...rest], into) {
  const sums = new Float32Array(into.length);
  for (let i = 0; i < sums.length; i++) sums[i] = halfValues[first[i]];
  for (const part of rest) for (let i = 0; i < sums.length; i++) sums[i] += halfValues[part[i]];
  toHalves(sums, into);
}

/**
 * Adds up floats by MPI's own loop.
 * @param {import('./library.js').Mpi} mpi
 * @param {readonly Float32Array[]} parts one of each rank, in their order; the first one is written over
 * @param {Float32Array} into
 */
function addFloats({ call, handles }, [sums, ...rest], into) {
  // inout = in + inout: which operand comes first does not change a sum.
  for (const part of rest) call.Reduce_local(part, sums, sums.length, handles.float, handles.sum);
  if (into !== sums) into.set(sums);
}

/** Sums over ranks of buckets in place. */
export class Sums {
  #world;
  /** What other ranks send: the same memory for every sum, as fresh pages cost more than what is done with them. */
  #received = new Uint8Array(0);

  /** @param {{ mpi: import('./library.js').Mpi, exchange: Pick<import('./exchange.js').Exchange, 'run'>, rank: number, size: number }} world */
  constructor(world) {
    this.#world = world;
  }

  /**
   * Sums a bucket in two exchanges: each rank gets everyone's share of its own part and adds it up; then all get all sums. MPI moves bytes
   * only, as its own reductions may add in another order from one run or rank to the next.
   * @param {Uint8Array} memory whole words
   * @param {'f32' | 'f16'} type
   */
  run(memory, type) {
    const { mpi, exchange, rank, size } = this.#world;
    const words = memory.length / 4;
    const partOf = (/** @type {number} */ r) =>
      memory.subarray(4 * Math.floor((words * r) / size), 4 * Math.floor((words * (r + 1)) / size));
    const own = partOf(rank);
    const peers = Array.from({ length: size }, (_, r) => r).filter((r) => r !== rank);
    const parts = this.#room(peers.length, own.length);
    exchange.run({
      receives: peers.map((peer, i) => ({ peer, bytes: parts[i] })),
      sends: peers.map((peer) => ({ peer, bytes: partOf(peer) })),
      purpose: 'sum of gradients',
    });
    parts.splice(rank, 0, own);
    const floats = ({ buffer, byteOffset, length }) => new Float32Array(buffer, byteOffset, length / 4);
    const halves = ({ buffer, byteOffset, length }) => new Uint16Array(buffer, byteOffset, length / 2);
    if (type === 'f32') addFloats(mpi, parts.map(floats), floats(own));
    else addHalves(parts.map(halves), halves(own));
    exchange.run({
      receives: peers.map((peer) => ({ peer, bytes: partOf(peer) })),
      sends: peers.map((peer) => ({ peer, bytes: own })),
      purpose: 'exchange of summed gradients',
    });
  }

  /** @param {number} count @param {number} length bytes of each */
  #room(count, length) {
    if (this.#received.length < count * length) this.#received = new Uint8Array(count * length);
    return Array.from({ length: count }, (_, i) => this.#received.subarray(i * length, (i + 1) * length));
  }
}

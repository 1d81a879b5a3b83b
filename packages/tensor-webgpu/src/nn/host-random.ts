/** A seeded stream of numbers on the host, for initial weights: Philox4x32-10 keyed by seed and stream. */
export interface HostRandom {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Standard normal, by Box-Muller. */
  normal(): number;
}

/** The high word of a 32 x 32 bit product, from 16-bit halves: BigInt would be thirty times slower. */
function multiplyHigh(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const low = a0 * b1 + (middle & 0xffff);
  return (a1 * b1 + Math.floor(middle / 65_536) + Math.floor(low / 65_536)) >>> 0;
}

/** One Philox4x32-10 block: four random words from a 128-bit counter and a 64-bit key (Salmon et al., 2011). */
export function philoxBlock(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = [multiplyHigh(0xd2511f53, c0), Math.imul(0xd2511f53, c0) >>> 0];
    const [high1, low1] = [multiplyHigh(0xcd9e8d57, c2), Math.imul(0xcd9e8d57, c2) >>> 0];
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A stream of random numbers that depends on nothing but seed and stream. @param skip uniform numbers of it that are left out. */
export function hostRandom(seed: number, stream = 0, skip = 0): HostRandom {
  let block: number[] = [];
  let count = Math.floor(skip / 4);
  const uniform = (): number => {
    if (!block.length)
      block = philoxBlock([count++, 0, stream >>> 0, 0], [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0]);
    return (block.shift()! >>> 8) / 2 ** 24;
  };
  for (let left = skip % 4; left > 0; left--) uniform();
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

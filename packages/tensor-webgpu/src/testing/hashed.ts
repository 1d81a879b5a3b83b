import { sizeOf, type Shape } from '../shape.ts';
import { type Tensor, tensor } from '../tensor.ts';

/** FNV-1a over the UTF-8 bytes of a text. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Scrambles a 32-bit word so that neighbours look unrelated (MurmurHash3's finaliser). */
function mix(word: number): number {
  let x = word ^ (word >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Numbers in [-1, 1) that depend on a name and a position only, so that two programs can fill weights alike: offset + scale * value. */
export function hashedValues(name: string, count: number, scale = 1, offset = 0): Float32Array {
  const seed = fnv1a(`gold/${name}`);
  return Float32Array.from(
    { length: count },
    (_, i) => offset + scale * (2 * ((mix(seed ^ Math.imul(i, 0x9e3779b1)) >>> 8) / 2 ** 24) - 1),
  );
}

/** A tensor of hashed values. */
export const hashed = (name: string, shape: Shape, scale = 1, offset = 0): Tensor =>
  tensor(hashedValues(name, sizeOf(shape), scale, offset), shape);

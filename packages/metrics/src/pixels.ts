import { checkPicture, MetricError, type Picture } from './picture.ts';

/** Pixels as a vector of numbers in 0..1, averaged down to side x side if asked. */
export function pixelVector(picture: Picture, side?: number): Float32Array {
  checkPicture('retrieval', picture);
  return side === undefined ? Float32Array.from(picture.data, (byte) => byte / 255) : boxAverages(picture, side);
}

/** Means of equal boxes, [side, side, 3]. */
function boxAverages({ width, height, data }: Picture, side: number): Float32Array {
  if (!(Number.isInteger(side) && side > 0) || width % side || height % side)
    throw new MetricError(
      'retrieval',
      `side must divide the pictures' ${width}x${height}, got ${side}. Choose a divisor.`,
    );
  const [boxWidth, boxHeight] = [width / side, height / side];
  const sums = new Float64Array(side * side * 3);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / 3);
    const column = Math.floor((pixel % width) / boxWidth);
    const row = Math.floor(pixel / width / boxHeight);
    sums[(row * side + column) * 3 + (i % 3)]! += data[i]!;
  }
  return Float32Array.from(sums, (sum) => sum / (255 * boxWidth * boxHeight));
}

/** |a - b|^2 in float64. */
export function squaredDistance(a: Float32Array, b: Float32Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += (a[i]! - b[i]!) ** 2;
  return total;
}

/** Each distinct vector once, and for each given vector the place of its like. */
export function distinct(vectors: readonly Float32Array[]): { unique: Float32Array[]; places: number[] } {
  const unique: Float32Array[] = [];
  const byHash = new Map<number, number[]>();
  const places = vectors.map((vector) => {
    const hash = hashOf(vector);
    const alike = byHash.get(hash) ?? [];
    byHash.set(hash, alike);
    const known = alike.find((place) => squaredDistance(unique[place]!, vector) === 0);
    if (known !== undefined) return known;
    alike.push(unique.push(vector) - 1);
    return unique.length - 1;
  });
  return { unique, places };
}

/** FNV-1a over the words of a vector. */
function hashOf(vector: Float32Array): number {
  let hash = 0x811c9dc5;
  for (const word of new Uint32Array(vector.buffer, vector.byteOffset, vector.length))
    hash = Math.imul(hash ^ word, 0x01000193);
  return hash;
}

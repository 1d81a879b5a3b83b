import { upright } from './decode.ts';

/** What of a picture stays where it is resized or encoded anew. */
export interface Fingerprint {
  /** 63 bits in two words: which of the lowest frequencies of its lightness are above their median (pHash, Zauner 2010). */
  bits: readonly [number, number];
  /** Mean colours of a grid of 4 x 4, RGB bytes. */
  colors: Uint8Array;
}

/** Side of the picture that the frequencies are of, and how many of them in each direction. */
const SIDE = 32;
const FREQUENCIES = 8;
const GRID = 4;
/** Frequencies of a picture without any detail are noise of its encoding: sums over 32 x 32 pixels below so many levels. */
const FLAT = 2 * SIDE;

/** cos(pi / SIDE (x + 1/2) f): rows of the discrete cosine transform. */
const COSINES: readonly Float64Array[] = Array.from({ length: FREQUENCIES }, (_, f) =>
  Float64Array.from({ length: SIDE }, (_unused, x) => Math.cos((Math.PI / SIDE) * (x + 0.5) * f)),
);

/** The fingerprint of an encoded picture. */
export async function fingerprintOf(bytes: Uint8Array): Promise<Fingerprint> {
  const picture = upright(bytes).removeAlpha().resize(SIDE, SIDE, { fit: 'fill', kernel: 'lanczos3' });
  const pixels = await picture.raw().toBuffer();
  return { bits: bitsOf(frequenciesOf(lightnessOf(pixels))), colors: meanColors(pixels) };
}

/** Bits in which two fingerprints differ. */
export function bitDistance({ bits: a }: Fingerprint, { bits: b }: Fingerprint): number {
  return popcount(a[0] ^ b[0]) + popcount(a[1] ^ b[1]);
}

/** Mean difference of the colours of two fingerprints, 0 to 255. */
export function colorDistance({ colors: a }: Fingerprint, { colors: b }: Fingerprint): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] as number)), 0) / a.length;
}

function lightnessOf(pixels: Uint8Array): Float64Array {
  return Float64Array.from({ length: SIDE * SIDE }, (_, i) => {
    const [r, g, b] = pixels.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
    return 0.299 * r + 0.587 * g + 0.114 * b;
  });
}

/** The lowest frequencies but the mean, of a cosine transform over rows, then columns. */
function frequenciesOf(lightness: Float64Array): Float64Array {
  const rows = Array.from({ length: SIDE }, (_, y) =>
    COSINES.map((cosine) => dot(cosine, lightness.subarray(y * SIDE, (y + 1) * SIDE))),
  );
  const all = COSINES.flatMap((cosine) =>
    COSINES.map((_, f) => rows.reduce((sum, row, y) => sum + (row[f] as number) * (cosine[y] as number), 0)),
  );
  return Float64Array.from(all.slice(1));
}

const dot = (a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

function bitsOf(frequencies: Float64Array): [number, number] {
  if (frequencies.every((value) => Math.abs(value) < FLAT)) return [0, 0];
  const median = frequencies.toSorted()[frequencies.length >> 1] as number;
  const bits: [number, number] = [0, 0];
  frequencies.forEach((value, i) => {
    if (value > median) bits[i >> 5] = (bits[i >> 5] as number) | (1 << (i & 31));
  });
  return [bits[0] >>> 0, bits[1] >>> 0];
}

function meanColors(pixels: Uint8Array): Uint8Array {
  const cell = SIDE / GRID;
  const sums = new Float64Array(GRID * GRID * 3);
  for (let i = 0; i < pixels.length; i++) {
    const [x, y] = [Math.floor(i / 3) % SIDE, Math.floor(i / 3 / SIDE)];
    const place = 3 * (Math.floor(y / cell) * GRID + Math.floor(x / cell)) + (i % 3);
    sums[place] = (sums[place] as number) + (pixels[i] as number);
  }
  return Uint8Array.from(sums, (sum) => Math.round(sum / cell ** 2));
}

function popcount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

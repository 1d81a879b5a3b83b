import type { Pixels, WordMap } from '../painter/painter.ts';

/** Side of the shade in pixels; the page enlarges it smoothly. */
const side = 64;
/** Opacity of the shade where a word gets the least attention. */
const darkest = 0.82;

/** The map of a word at one scale, or the mean of all its maps where no scale is given. */
export const mapsOf = (maps: readonly WordMap[], word: string, scale?: number): WordMap[] =>
  // A single token is the same everywhere.
  maps.filter((map) => map.word === word && map.scale === (scale ?? map.scale) && map.shares.length > 1);

/** A shade that leaves light what a word gets most attention at, from the least share of each map to its largest. */
export function spotlight(maps: readonly WordMap[]): Pixels {
  const data = new Uint8ClampedArray(side * side * 4);
  const light = stretched(meanOf(maps.map(enlarged)));
  light.forEach((value, i) => (data[i * 4 + 3] = 255 * darkest * (1 - value)));
  return { width: side, height: side, data };
}

/** A map at the shade's size: between tokens, values run evenly from the one to the other. */
function enlarged({ width, height, shares }: WordMap): Float32Array {
  const values = stretched(shares);
  const at = (x: number, y: number): number =>
    values[Math.min(Math.max(y, 0), height - 1) * width + Math.min(Math.max(x, 0), width - 1)]!;
  return Float32Array.from({ length: side * side }, (_, i) => {
    const x = (((i % side) + 0.5) * width) / side - 0.5;
    const y = ((Math.floor(i / side) + 0.5) * height) / side - 0.5;
    const [left, top] = [Math.floor(x), Math.floor(y)];
    const row = (of: number): number => at(left, of) * (1 - x + left) + at(left + 1, of) * (x - left);
    return row(top) * (1 - y + top) + row(top + 1) * (y - top);
  });
}

const meanOf = (maps: readonly Float32Array[]): Float32Array =>
  Float32Array.from({ length: side * side }, (_, i) => maps.reduce((sum, map) => sum + map[i]!, 0) / maps.length);

/** Values moved and scaled to 0..1; all 0 where they are all the same. */
function stretched(values: Float32Array): Float32Array {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return values.map((value) => (high > low ? (value - low) / (high - low) : 0));
}

import { pictureAt, type Pictures, type ScaleStep } from '@star-webgpu/sampler';
import { resizedPicture, resizedShares } from './pictures.ts';

/** How much of the attention a word gets at each token of a scale, row by row. */
export interface WordMap {
  readonly scale: number;
  readonly width: number;
  readonly height: number;
  /** Shares from 0 to 1. */
  readonly shares: readonly number[];
}

/** The maps of one step of a sampling: for each picture, for each watched word. */
export async function mapsOfStep({ scale, map, watched_BWl }: ScaleStep): Promise<WordMap[][]> {
  if (!watched_BWl) return [];
  const [B, W, l] = watched_BWl.shape as [number, number, number];
  const values = await watched_BWl.data();
  return Array.from({ length: B }, (_, b) =>
    Array.from({ length: W }, (_, w) => {
      const start = (b * W + w) * l;
      return { scale, width: map.width, height: map.height, shares: [...values.subarray(start, start + l)] };
    }),
  );
}

/** Shorter side of a tile, so that a person sees it. */
const leastSide = 128;

/** Black, purple, red, orange, pale yellow: dark is little. */
const ramp = [
  [0, 0, 4],
  [87, 16, 110],
  [188, 55, 84],
  [249, 142, 9],
  [252, 255, 164],
] as const;

/** The colour of a heat from 0 to 1. */
function colourOf(heat: number): readonly number[] {
  const at = Math.min(Math.max(heat, 0), 1) * (ramp.length - 1);
  const low = Math.min(Math.floor(at), ramp.length - 2);
  return ramp[low]!.map((from, channel) => from + (ramp[low + 1]![channel]! - from) * (at - low));
}

/** Share of the picture in an overlay. */
const pictureShare = 0.35;

/** The picture, each scale's map laid over it, and the mean of the maps: tiles of one size. Maps run from their least share to their largest. */
export async function heatTiles(picture: Pictures, maps: readonly WordMap[]): Promise<Pictures[]> {
  const tile = await enlarged(picture);
  // A single token is the same everywhere.
  const heats = await Promise.all(maps.filter(({ shares }) => shares.length > 1).map((map) => heatOf(map, tile)));
  const mean = stretched(
    Float32Array.from(tile.data.subarray(0, tile.width * tile.height), (_, i) =>
      heats.reduce((sum, heat) => sum + heat[i]!, 0),
    ),
  );
  return [tile, ...[...heats, mean].map((heat) => overlay(tile, heat))];
}

async function enlarged(picture: Pictures): Promise<Pictures> {
  const one = pictureAt(picture, 0);
  const times = Math.max(1, Math.ceil(leastSide / Math.min(one.width, one.height)));
  const size = { width: one.width * times, height: one.height * times };
  return { count: 1, ...(await resizedPicture(one, size, 'nearest')) };
}

/** A map at the size of a tile, from 0 to 1. */
const heatOf = ({ width, height, shares }: WordMap, tile: Pictures): Promise<Float32Array> =>
  resizedShares({ width, height, shares: stretched(shares) }, tile, 'cubic');

/** Values moved and scaled to 0..1; all 0 where they are all the same. */
function stretched(values: ArrayLike<number>): Float32Array {
  const all = Float32Array.from(values);
  const low = all.reduce((a, b) => Math.min(a, b));
  const high = all.reduce((a, b) => Math.max(a, b));
  return all.map((value) => (high > low ? (value - low) / (high - low) : 0));
}

function overlay({ data, ...size }: Pictures, heat: Float32Array): Pictures {
  const mixed = new Uint8Array(data.length);
  heat.forEach((value, i) =>
    colourOf(value).forEach((colour, channel) => {
      const at = 3 * i + channel;
      mixed[at] = Math.round(pictureShare * data[at]! + (1 - pictureShare) * colour);
    }),
  );
  return { ...size, data: mixed };
}

import { type MapSize, tokenMaps, tokenOffsets } from '@star-webgpu/vqvae/scales';
import type { Pictures } from './image.ts';

/** Which pixels are to be drawn anew: 1 all of it, 0 not at all. */
export interface Region {
  readonly height: number;
  readonly width: number;
  /** Row-major, from 0 to 1. [H, W] */
  readonly data: Float32Array;
}

/** A rectangle of pixels; its sides may leave the picture. */
export interface Box {
  /** Pixels from the left edge. */
  readonly left: number;
  /** Pixels from the upper edge. */
  readonly top: number;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
}

/** What of a given picture stays. */
export interface KeepOptions {
  /** Scales whose tokens all stay, from the first: variations of the picture. 0 by default. */
  readonly keepScales?: number;
  /** A token is drawn anew where more than this share of its area lies in the region. 0.5 by default. */
  readonly redrawFrom?: number;
  /** Tokens at the border mix old and new by their share of the region, instead of being the one or the other. */
  readonly feather?: boolean;
}

/** A region that is one rectangle. */
export function boxRegion({ left, top, width, height }: Box, size: MapSize): Region {
  const data = Float32Array.from({ length: size.height * size.width }, (_, i) => {
    const [x, y] = [i % size.width, Math.floor(i / size.width)];
    return Number(x >= left && x < left + width && y >= top && y < top + height);
  });
  return { ...size, data };
}

/** A region that is the whole picture. */
export const wholeRegion = (size: MapSize): Region => boxRegion({ left: 0, top: 0, ...size }, size);

/** Share of the given picture in each token, all scales in sequence: 1 keeps it, 0 draws anew. [L] */
export function tokenWeights(
  region: Region,
  patchNumbers: readonly number[],
  { keepScales = 0, redrawFrom = 0.5, feather = false, latent }: KeepOptions & { readonly latent?: MapSize } = {},
): Float32Array {
  const weights = new Float32Array(tokenOffsets(patchNumbers, latent).at(-1)!).fill(1);
  let at = 0;
  for (const [scale, map] of tokenMaps(patchNumbers, latent).entries()) {
    const shares = averages(region, map);
    if (scale >= keepScales)
      weights.set(
        shares.map((share) => (feather ? 1 - share : Number(share <= redrawFrom))),
        at,
      );
    at += shares.length;
  }
  return weights;
}

/** Average of the region over each cell of a map that is laid over it; cells may cut pixels. */
function averages(region: Region, { height, width }: MapSize): Float32Array {
  const rows = Array.from({ length: height }, (_, y) => cuts(y, height, region.height));
  const columns = Array.from({ length: width }, (_, x) => cuts(x, width, region.width));
  return Float32Array.from({ length: height * width }, (_, i) => {
    const [ys, xs] = [rows[Math.floor(i / width)]!, columns[i % width]!];
    let sum = 0;
    for (const [y, tall] of ys) for (const [x, wide] of xs) sum += tall * wide * region.data[y * region.width + x]!;
    return (sum * height * width) / (region.height * region.width);
  });
}

/** Pixels under one of `cells` cells, with the length of each that lies inside. */
function cuts(cell: number, cells: number, pixels: number): (readonly [pixel: number, length: number])[] {
  const [start, end] = [(cell * pixels) / cells, ((cell + 1) * pixels) / cells];
  const found: [number, number][] = [];
  for (let pixel = Math.floor(start); pixel < Math.min(pixels, Math.ceil(end)); pixel++)
    found.push([pixel, Math.min(end, pixel + 1) - Math.max(start, pixel)]);
  return found;
}

/**
 * The edited picture inside the region and the original outside, with a soft seam of so many pixels that lies inside the region,
 * so that no pixel outside changes. Both pictures and the region have one size.
 */
export function pasteOutside(original: Pictures, edited: Pictures, region: Region, seam = 0): Pictures {
  const inside = seam > 0 ? softened(region, seam) : region.data;
  const data = edited.data.map((value, i) => {
    const share = inside[Math.floor((i % original.data.length) / 3)]!;
    return Math.round(share * value + (1 - share) * original.data[i % original.data.length]!);
  });
  return { ...edited, data };
}

/** The region's values times their nearness to its inside: 0 at its edge, whole from `seam` pixels on. */
function softened(region: Region, seam: number): Float32Array {
  const rows = ramps(region, { along: region.width, across: region.height, step: 1, stride: region.width }, seam);
  const columns = ramps(region, { along: region.height, across: region.width, step: region.width, stride: 1 }, seam);
  return region.data.map((value, i) => value * Math.min(rows[i]!, columns[i]!));
}

interface Lines {
  /** Pixels of a line, and how many lines there are. */
  readonly along: number;
  readonly across: number;
  /** Places between neighbours of a line, and between lines. */
  readonly step: number;
  readonly stride: number;
}

/** For each pixel its distance along a line to the nearest pixel outside the region, over the seam, at most 1; the picture's edge is no seam. */
function ramps({ data }: Region, { along, across, step, stride }: Lines, seam: number): Float32Array {
  const near = new Float32Array(data.length).fill(1);
  for (let line = 0; line < across; line++)
    for (const backwards of [false, true]) {
      let distance = Number.POSITIVE_INFINITY;
      for (let k = 0; k < along; k++) {
        const at = line * stride + (backwards ? along - 1 - k : k) * step;
        distance = data[at]! > 0 ? distance + 1 : 0;
        near[at] = Math.min(near[at]!, distance / (seam + 1));
      }
    }
  return near;
}

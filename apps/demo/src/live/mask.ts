/** A picture's size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A byte a pixel: 1 where a picture is drawn anew. */
export type Mask = Uint8Array<ArrayBuffer>;

/** A place in a picture, in pixels; it may lie between them and outside. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** A round brush that marks, or that takes marks away. */
export interface Brush {
  readonly radius: number;
  readonly value: 0 | 1;
}

/** Paints a line between two places, in place. */
export function paintLine(
  mask: Mask,
  { width, height }: Size,
  [from, to]: readonly [Place, Place],
  brush: Brush,
): void {
  const { radius, value } = brush;
  const [left, right] = [Math.min(from.x, to.x) - radius, Math.max(from.x, to.x) + radius];
  const [top, bottom] = [Math.min(from.y, to.y) - radius, Math.max(from.y, to.y) + radius];
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, Math.ceil(bottom)); y++)
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(width, Math.ceil(right)); x++)
      if (distance({ x: x + 0.5, y: y + 0.5 }, from, to) <= radius) mask[y * width + x] = value;
}

/** From a place to the nearest one of the line between two others. */
function distance({ x, y }: Place, from: Place, to: Place): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / length)) : 0;
  return Math.hypot(x - from.x - along * dx, y - from.y - along * dy);
}

/** Marks a rectangle given in shares of the picture's sides, in place. */
export function paintBox(
  mask: Mask,
  { width, height }: Size,
  {
    left,
    top,
    right,
    bottom,
  }: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number },
): void {
  for (let y = Math.round(top * height); y < Math.round(bottom * height); y++)
    mask.fill(1, y * width + Math.round(left * width), y * width + Math.round(right * width));
}

/** Share of the pixels that are marked, from 0 to 1. */
export const markedShare = (mask: Mask): number => mask.reduce((sum, value) => sum + value, 0) / mask.length;

/** A mask for a link: lengths of its runs, 0 first, seven bits a byte, in URL-safe base64. */
export function encodeMask(mask: Mask): string {
  const bytes: number[] = [];
  for (const run of runsOf(mask)) {
    let rest = run;
    for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
    bytes.push(rest);
  }
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

function runsOf(mask: Mask): number[] {
  const runs = [0];
  let current = 0;
  for (const value of mask) {
    if (value !== current) runs.push(0);
    current = value;
    runs[runs.length - 1]! += 1;
  }
  return runs;
}

/** The mask that a link holds for a picture; nothing is marked in one that does not fit it. */
export function decodeMask(text: string, { width, height }: Size): Mask {
  const mask = new Uint8Array(width * height);
  const runs = decodeRuns(text);
  if (runs.reduce((sum, run) => sum + run, 0) !== mask.length) return mask;
  let at = 0;
  for (const [i, run] of runs.entries()) mask.fill(i % 2, at, (at += run));
  return mask;
}

function decodeRuns(text: string): number[] {
  const runs: number[] = [];
  let [run, shift] = [0, 0];
  for (const byte of bytesOf(text)) {
    run += (byte & 127) * 2 ** shift;
    shift += 7;
    if (byte & 128) continue;
    runs.push(run);
    [run, shift] = [0, 0];
  }
  return runs;
}

function bytesOf(text: string): number[] {
  try {
    return [...atob(text.replaceAll('-', '+').replaceAll('_', '/'))].map((one) => one.charCodeAt(0));
  } catch {
    return [];
  }
}

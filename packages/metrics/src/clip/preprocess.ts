import { checkPicture, type Picture } from '../picture.ts';

/** Means and deviations of the pictures that CLIP was trained on. */
const mean = [0.48145466, 0.4578275, 0.40821073] as const;
const deviation = [0.26862954, 0.26130258, 0.27577711] as const;

/** Writes a picture as CLIP sees it: shorter side to `side` by bicubic resampling, middle square, normalised. [side, side, 3] row-major. */
export function clipPixelsInto(target: Float32Array, picture: Picture, side: number): void {
  cropped(picture, side).data.forEach((byte, i) => {
    target[i] = (byte / 255 - mean[i % 3]!) / deviation[i % 3]!;
  });
}

/** The middle square of a picture whose shorter side is resampled to `side`, as OpenAI's preprocessing does it with Pillow: byte for byte. */
export function cropped(picture: Picture, side: number): Picture {
  checkPicture('clip', picture);
  const { width, height } = picture;
  const longer = Math.floor((side * Math.max(width, height)) / Math.min(width, height));
  const [toWidth, toHeight] = width <= height ? [side, longer] : [longer, side];
  const wide = resampled(picture, { to: toWidth, along: 'x' });
  const whole = resampled(wide, { to: toHeight, along: 'y' });
  return middle(whole, side);
}

/** One side of a square in the middle, rounded as Python rounds. */
function offsetOf(length: number, side: number): number {
  const half = (length - side) / 2;
  const whole = Math.floor(half);
  return half - whole === 0.5 && whole % 2 === 1 ? whole + 1 : whole;
}

function middle({ width, height, data }: Picture, side: number): Picture {
  const [left, top] = [offsetOf(width, side), offsetOf(height, side)];
  const square = new Uint8Array(side * side * 3);
  for (let row = 0; row < side; row++) {
    const start = ((top + row) * width + left) * 3;
    square.set(data.subarray(start, start + side * 3), row * side * 3);
  }
  return { width: side, height: side, data: square };
}

/** Bits behind the point of Pillow's weights. */
const fractionBits = 22;

/** Keys' kernel with a = -0.5. */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** Where a new pixel reads from, and by which whole weights. */
interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

/** Weights of a smaller picture's pixels widen with the scale, so that nothing is skipped. */
function tapsOf(from: number, to: number): Taps[] {
  const scale = from / to;
  const spread = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - 2 * spread + 0.5));
    const last = Math.min(from, Math.trunc(centre + 2 * spread + 0.5));
    const raw = Array.from({ length: last - first }, (__, k) => cubic((first + k - centre + 0.5) / spread));
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: raw.map((weight) => roundAway((weight / total) * 2 ** fractionBits)) };
  });
}

const roundAway = (value: number): number => Math.trunc(value < 0 ? value - 0.5 : value + 0.5);

/** Resamples one axis; results are bytes again, as in Pillow. */
function resampled(picture: Picture, { to, along }: { readonly to: number; readonly along: 'x' | 'y' }): Picture {
  const { width, height, data } = picture;
  const from = along === 'x' ? width : height;
  if (from === to) return picture;
  const size = along === 'x' ? { width: to, height } : { width, height: to };
  const step = along === 'x' ? 3 : 3 * width;
  const result = new Uint8Array(size.width * size.height * 3);
  const taps = tapsOf(from, to);
  for (let i = 0; i < result.length; i++) {
    const column = Math.floor(i / 3) % size.width;
    const row = Math.floor(i / (3 * size.width));
    const { first, weights } = taps[along === 'x' ? column : row]!;
    const start = along === 'x' ? (row * width + first) * 3 + (i % 3) : first * step + (i % step);
    let sum = 2 ** (fractionBits - 1);
    for (let k = 0; k < weights.length; k++) sum += weights[k]! * data[start + k * step]!;
    result[i] = Math.min(255, Math.max(0, Math.floor(sum / 2 ** fractionBits)));
  }
  return { ...size, data: result };
}

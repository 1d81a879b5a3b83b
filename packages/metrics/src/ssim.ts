import { checkPair, MetricError, type Picture } from './picture.ts';

const windowSide = 11;
const deviation = 1.5;
const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];

/** Weights of the window along one axis; they sum to 1. */
const gaussian: Float64Array = normalise(
  Float64Array.from({ length: windowSide }, (_, i) =>
    Math.exp(-((i - (windowSide - 1) / 2) ** 2) / (2 * deviation ** 2)),
  ),
);

function normalise(weights: Float64Array): Float64Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Values of one channel, row-major. */
interface Plane {
  readonly width: number;
  readonly height: number;
  readonly values: Float64Array;
}

/**
 * Mean structural similarity (Wang et al., 2004): Gaussian windows of 11x11 and deviation 1.5 that lie wholly inside, the mean of the channels.
 * 1 for equal pictures. @throws MetricError if sizes differ or a side is below 11.
 */
export function ssim(got: Picture, want: Picture): number {
  checkPair('ssim', got, want);
  if (Math.min(got.width, got.height) < windowSide)
    throw new MetricError(
      'ssim',
      `sides must be at least ${windowSide}, got ${got.width}x${got.height}. Enlarge both.`,
    );
  const channels = [0, 1, 2].map((channel) => planeSsim(planeOf(got, channel), planeOf(want, channel)));
  return channels.reduce((sum, value) => sum + value, 0) / channels.length;
}

const planeOf = ({ width, height, data }: Picture, channel: number): Plane => ({
  width,
  height,
  values: Float64Array.from({ length: width * height }, (_, i) => data[3 * i + channel]!),
});

function planeSsim(x: Plane, y: Plane): number {
  const local = (a: Plane, b: Plane): Float64Array =>
    windowMeans({ ...a, values: a.values.map((value, i) => value * b.values[i]!) });
  const [meanX, meanY] = [windowMeans(x), windowMeans(y)];
  const [xx, yy, xy] = [local(x, x), local(y, y), local(x, y)];
  let total = 0;
  for (let i = 0; i < meanX.length; i++) {
    const [mx, my] = [meanX[i]!, meanY[i]!];
    const luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1);
    const structure = (2 * (xy[i]! - mx * my) + c2) / (xx[i]! - mx * mx + yy[i]! - my * my + c2);
    total += luminance * structure;
  }
  return total / meanX.length;
}

/** Weighted mean of every window: along the rows, then along the columns. */
function windowMeans({ width, height, values }: Plane): Float64Array {
  const columns = width - windowSide + 1;
  const rows = height - windowSide + 1;
  const along = new Float64Array(columns * height);
  for (let i = 0; i < along.length; i++)
    along[i] = weightedSum(values, Math.floor(i / columns) * width + (i % columns), 1);
  const means = new Float64Array(columns * rows);
  for (let i = 0; i < means.length; i++) means[i] = weightedSum(along, i, columns);
  return means;
}

function weightedSum(values: Float64Array, start: number, step: number): number {
  let total = 0;
  for (let k = 0; k < windowSide; k++) total += gaussian[k]! * values[start + k * step]!;
  return total;
}

import { noGrad, record, wantsGrad } from '../autograd/record.ts';
import { scope } from '../scope.ts';
import { empty, type Tensor, tensor } from '../tensor.ts';
import { cast } from './cast.ts';
import { gemm, type WindowUniforms } from './gemm.ts';
import { matmul } from './matmul.ts';
import { sumTo } from './reduce.ts';
import { contiguous, permute, reshape } from './view.ts';

/** Taps of the 3-wide window that fall on one pixel of the smaller picture, by corner (0 or 1) and by tap of that corner's 2-wide window. */
const cornerTaps: readonly (readonly (readonly number[])[])[] = [
  [[0], [1, 2]],
  [[0, 1], [2]],
];

/** Taps of the 3-wide window by which an output pixel at each of 4 neighbouring places took from a pixel of the smaller picture. */
const backwardTaps: readonly (readonly number[])[] = [[2], [1, 2], [0, 1], [0]];

/** Rows of ones and zeros that sum taps (y, x) of a 3x3 window, for pairs of rows and columns of taps. */
const tapMatrix = (pairs: readonly (readonly [rows: readonly number[], columns: readonly number[]])[]): number[] =>
  pairs.flatMap(([rows, columns]) =>
    Array.from({ length: 9 }, (_, tap) => Number(rows.includes(Math.floor(tap / 3)) && columns.includes(tap % 3))),
  );

const both = [0, 1] as const;
/** Windows of the four corners: [(a, b, y, x), taps] = [16, 9]. */
const cornerMatrix = tapMatrix(
  both.flatMap((a) =>
    both.flatMap((b) => both.flatMap((y) => both.map((x) => [cornerTaps[a]![y]!, cornerTaps[b]![x]!] as const))),
  ),
);
/** The window of the way back: [(y, x), taps] = [16, 9]. */
const backwardMatrix = tapMatrix(
  backwardTaps.flatMap((rows) => backwardTaps.map((columns) => [rows, columns] as const)),
);

const matrixLike = (weight: Tensor, values: readonly number[]): Tensor =>
  cast(tensor(values, [16, 9], { device: weight.storage.device }), weight.dtype);

/** Sums of a filter's taps. weight: [O, I, 3, 3] -> [16, O, I] or [16, I, O] by the order of its last two axes. */
function summedTaps(weight: Tensor, values: readonly number[], order: readonly [0, 1] | readonly [1, 0]): Tensor {
  const taps = reshape(permute(weight, [2, 3, ...order]), [9, -1]);
  return matmul(matrixLike(weight, values), taps);
}

export interface DoubledConvolution {
  /** [B, h, w, I] */
  readonly x: Tensor;
  /** [O, I, 3, 3] */
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly activation: 'relu' | undefined;
}

/**
 * A 3x3 convolution with padding 1 of a picture whose every pixel is repeated 2x2, without that picture: x: [B, h, w, I] -> [B, 2h, 2w, O], I and O multiples of 4.
 * Each corner of a pixel sees 2x2 pixels of x, by sums of the window's taps: 4 products a corner instead of 9. The ways back see 4x4 output pixels at steps of 2.
 */
export function doubledConv2d({ x, weight, bias, activation }: DoubledConvolution): Tensor {
  const y = scope(() => noGrad(() => forward({ x, weight, bias, activation })));
  return record('conv2d', y, bias ? [x, weight, bias] : [x, weight], (dy) => {
    const upstream = contiguous(dy);
    const dx = wantsGrad(x) ? inputGradient(upstream, weight, x) : null;
    const dWeight = wantsGrad(weight) ? weightGradient(x, upstream) : null;
    return [dx, dWeight, ...(bias ? [wantsGrad(bias) ? sumTo(dy, [weight.shape[0]!]) : null] : [])];
  });
}

function forward({ x, weight, bias, activation }: DoubledConvolution): Tensor {
  const [batch, height, width, I] = x.shape as [number, number, number, number];
  const O = weight.shape[0]!;
  const y = empty([batch, 2 * height, 2 * width, O], x.dtype, x.storage.device);
  const sides = { inHeight: height, inWidth: width, outHeight: height, outWidth: width };
  gemm({
    a: x,
    b: summedTaps(weight, cornerMatrix, [1, 0]),
    c: y,
    bias,
    activation,
    M: batch * height * width,
    N: O,
    K: 4 * I,
    batch: 4,
    batchB: 4 * I * O,
    window: {
      kind: 'corner',
      uniforms: { ...sides, channels: I, kernelHeight: 2, kernelWidth: 2, stride: 1, padTop: 1, padLeft: 1 },
    },
  });
  return y;
}

/** The window by which a pixel of x sees the gradients of the output pixels that it fed. */
const backwardWindow = (x: Tensor, channels: number): WindowUniforms => {
  const [, height, width] = x.shape as [number, number, number];
  const sides = { inHeight: 2 * height, inWidth: 2 * width, outHeight: height, outWidth: width };
  return { ...sides, channels, kernelHeight: 4, kernelWidth: 4, stride: 2, padTop: 1, padLeft: 1 };
};

function inputGradient(dy: Tensor, weight: Tensor, x: Tensor): Tensor {
  const [O, I] = weight.shape as [number, number];
  const dx = empty(x.shape, dy.dtype, dy.storage.device);
  gemm({
    a: dy,
    b: summedTaps(weight, backwardMatrix, [0, 1]),
    c: dx,
    M: x.size / I,
    N: I,
    K: 16 * O,
    window: { kind: 'forward', uniforms: backwardWindow(x, O) },
  });
  return dx;
}

/** Sums over pixels of x for each of 4x4 places of its output pixels, then over the places that a tap takes part in. */
function weightGradient(x: Tensor, dy: Tensor): Tensor {
  const [I, O] = [x.shape[3]!, dy.shape[3]!];
  const places = empty([16, O * I], x.dtype, x.storage.device);
  gemm({
    a: dy,
    b: x,
    c: places,
    M: 16 * O,
    N: I,
    K: x.size / I,
    window: { kind: 'weight', uniforms: backwardWindow(x, O) },
  });
  const taps = matmul(matrixLike(x, backwardMatrix), places, { transposeA: true });
  return contiguous(permute(reshape(taps, [3, 3, O, I]), [2, 3, 0, 1]));
}

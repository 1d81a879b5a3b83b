import { isRecorded, record, wantsGrad } from '../autograd/record.ts';
import { check } from '../errors.ts';
import { empty, type Tensor } from '../tensor.ts';
import { doubledConv2d } from './conv2d-doubled.ts';
import { relu } from './elementwise.ts';
import { gemm, type WindowUniforms } from './gemm.ts';
import { linear } from './linear.ts';
import { toOperand } from './precision.ts';
import { upsampleNearest } from './resize.ts';
import { sumTo } from './reduce.ts';
import { contiguous, padAxis, permute, reshape, slice } from './view.ts';

/** Zeros around a picture: one number for all edges, or [top, right, bottom, left]. */
export type Padding = number | readonly [number, number, number, number];

/** What `conv2d` does around the sums: no padding, a stride of 1 and no bias by default. */
export interface Conv2dOptions {
  /** Summand of each output channel; none if not given. */
  readonly bias?: Tensor;
  /** Pixels between windows along both sides; 1 if not given. */
  readonly stride?: number;
  /** Zeros around the picture; none if not given. */
  readonly padding?: Padding;
  /** What follows the sums and the bias, in the same pass where no gradient is wanted. */
  readonly activation?: 'relu';
  /** Every pixel of the input is repeated so many times along both sides first. */
  readonly upsample?: 1 | 2;
}

/** Sides of a convolution: the gathered picture, the produced one, and the window between them. */
interface Geometry {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly stride: number;
  readonly padTop: number;
  readonly padLeft: number;
}

/**
 * 2-D convolution as an implicit matrix product. x: [B, H, W, I], weight: [O, I, kh, kw], bias: [O] -> [B, h, w, O].
 * With `upsample` 2, a 3x3 window and padding 1 the enlarged picture is never made, and costs 4 products a pixel instead of 9.
 * @throws TensorError if channels disagree or the window does not fit.
 */
export function conv2d(input: Tensor, filter: Tensor, options: Conv2dOptions = {}): Tensor {
  const bias = options.bias && toOperand(options.bias);
  const [x, weight] = [toOperand(input), toOperand(filter)];
  const [O, I] = weight.shape as [number, number];
  check(
    'conv2d',
    x.rank === 4 && weight.rank === 4,
    () => `input and weight must have 4 axes, got [${x.shape}] and [${weight.shape}].`,
  );
  check(
    'conv2d',
    x.shape[3] === I,
    () => `input must have ${I} channels for weight [${weight.shape}], got [${x.shape}]. Pictures are [B, H, W, C].`,
  );
  const { activation } = options;
  if (options.upsample === 2 && !isDoubled(weight, options))
    return conv2d(upsampleNearest(padChannels(x, 3)), padChannels(weight, 1), { ...options, upsample: 1 });
  const geometry = geometryOf(x, weight, options);
  if (isPointwise(geometry, options)) return linear(x, reshape(weight, [O, I]), bias, activation && { activation });
  if (activation && isRecorded(bias ? [x, weight, bias] : [x, weight]))
    return relu(conv2d(x, weight, withoutActivation(options)));
  const source = contiguous(padChannels(x, 3));
  const kernel = padChannels(weight, 1);
  if (options.upsample === 2) return doubledConv2d({ x: source, weight: kernel, bias, activation });
  const y = forward({ x: source, weight: kernel, bias, activation }, geometry);
  return record('conv2d', y, bias ? [source, kernel, bias] : [source, kernel], (dy) => {
    const dx = wantsGrad(source) ? inputGradient(dy, kernel, geometry) : null;
    const dWeight = wantsGrad(kernel) ? weightGradient(source, dy, kernel, geometry) : null;
    return [dx, dWeight, ...(bias ? [wantsGrad(bias) ? sumTo(dy, [O]) : null] : [])];
  });
}

function withoutActivation(options: Conv2dOptions): Conv2dOptions {
  const { activation: _, ...others } = options;
  return others;
}

function geometryOf(x: Tensor, weight: Tensor, { stride = 1, padding = 0 }: Conv2dOptions): Geometry {
  const [top, right, bottom, left] = typeof padding === 'number' ? [padding, padding, padding, padding] : padding;
  const [batch, height, width] = x.shape as [number, number, number];
  const [kernelHeight, kernelWidth] = weight.shape.slice(2) as [number, number];
  const outHeight = Math.floor((height + top + bottom - kernelHeight) / stride) + 1;
  const outWidth = Math.floor((width + left + right - kernelWidth) / stride) + 1;
  check(
    'conv2d',
    outHeight > 0 && outWidth > 0,
    () =>
      `window ${kernelHeight}x${kernelWidth} must fit the padded picture, got ${height}x${width} with padding [${[top, right, bottom, left]}].`,
  );
  return {
    batch,
    height,
    width,
    outHeight,
    outWidth,
    kernelHeight,
    kernelWidth,
    stride,
    padTop: top,
    padLeft: left,
  };
}

const isPointwise = ({ kernelHeight, kernelWidth, stride }: Geometry, { padding = 0 }: Conv2dOptions): boolean =>
  kernelHeight === 1 && kernelWidth === 1 && stride === 1 && padding === 0;

/** True if the enlarged picture can be left out. */
const isDoubled = (weight: Tensor, { stride = 1, padding = 0 }: Conv2dOptions): boolean =>
  weight.shape[0]! % 4 === 0 && weight.shape[2] === 3 && weight.shape[3] === 3 && stride === 1 && padding === 1;

/** Zero channels up to a multiple of 4, so that kernels load whole vectors. */
function padChannels(x: Tensor, axis: number): Tensor {
  const missing = (4 - (x.shape[axis]! % 4)) % 4;
  if (!missing) return x;
  const channels = x.shape[axis]!;
  const padded = padAxis(x, axis, 0, missing);
  return record('padChannels', padded, [x], (dy) => [slice(dy, axis, 0, channels)]);
}

/** Uniforms of the window; `inHeight` x `inWidth` is the gathered picture, `outHeight` x `outWidth` the one that rows or K run over. */
function windowOf(geometry: Geometry, gathered: 'input' | 'output', channels: number): WindowUniforms {
  const { height, width, outHeight, outWidth, kernelHeight, kernelWidth, stride, padTop, padLeft } = geometry;
  const sides =
    gathered === 'input'
      ? { inHeight: height, inWidth: width, outHeight, outWidth }
      : { inHeight: outHeight, inWidth: outWidth, outHeight: height, outWidth: width };
  return { ...sides, channels, kernelHeight, kernelWidth, stride, padTop, padLeft };
}

interface Operands {
  readonly x: Tensor;
  /** [O, I, kh, kw] in any strides: stored [kh, kw, I, O] it is read where it lies. */
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly activation: 'relu' | undefined;
}

function forward({ x, weight, bias, activation }: Operands, geometry: Geometry): Tensor {
  const [O, I] = weight.shape as [number, number];
  const { batch, outHeight, outWidth, kernelHeight, kernelWidth } = geometry;
  const y = empty([batch, outHeight, outWidth, O], x.dtype, x.storage.device);
  const b = contiguous(permute(weight, [2, 3, 1, 0]));
  gemm({
    a: x,
    b,
    c: y,
    bias,
    activation,
    M: batch * outHeight * outWidth,
    N: O,
    K: kernelHeight * kernelWidth * I,
    window: { kind: 'forward', uniforms: windowOf(geometry, 'input', I) },
  });
  return y;
}

/** dx = dy convolved with the weight turned round: a gather over the output pixels that each input pixel fed. */
function inputGradient(dy: Tensor, weight: Tensor, geometry: Geometry): Tensor {
  const upstream = contiguous(padChannels(dy, 3));
  const kernel = padChannels(weight, 0);
  const [O, I] = kernel.shape as [number, number];
  const { batch, height, width, kernelHeight, kernelWidth } = geometry;
  const dx = empty([batch, height, width, I], dy.dtype, dy.storage.device);
  const b = contiguous(permute(kernel, [2, 3, 0, 1]));
  gemm({
    a: upstream,
    b,
    c: dx,
    M: batch * height * width,
    N: I,
    K: kernelHeight * kernelWidth * O,
    window: { kind: 'input', uniforms: windowOf(geometry, 'output', O) },
  });
  return dx;
}

/** dW = (windows of x)^T dy, summed over output pixels. */
function weightGradient(x: Tensor, dy: Tensor, weight: Tensor, geometry: Geometry): Tensor {
  const [O, I] = weight.shape as [number, number];
  const { batch, outHeight, outWidth, kernelHeight, kernelWidth } = geometry;
  const M = kernelHeight * kernelWidth * I;
  const dw = empty([kernelHeight, kernelWidth, I, O], x.dtype, x.storage.device);
  gemm({
    a: x,
    b: contiguous(dy),
    c: dw,
    M,
    N: O,
    K: batch * outHeight * outWidth,
    window: { kind: 'weight', uniforms: windowOf(geometry, 'input', I) },
  });
  return contiguous(permute(dw, [3, 2, 0, 1]));
}

import { expect, it } from 'vitest';
import { describeVariants, expectClose, gradcheck, hashed, hashedValues } from '../testing/index.ts';
import { backward } from '../autograd/backward.ts';
import { ones, tensor } from '../tensor.ts';
import { averagePool2d, type AveragePoolOptions, maxPool2d } from './pool.ts';
import { sum as total } from './reduce.ts';

interface Case {
  readonly title: string;
  readonly shape: readonly [number, number, number, number];
  readonly options: AveragePoolOptions;
}

const cases: Case[] = [
  { title: '3x3 with stride 2', shape: [2, 7, 9, 8], options: { size: 3, stride: 2 } },
  { title: '3x3 with stride 1 and padding', shape: [1, 5, 4, 4], options: { size: 3, stride: 1, padding: 1 } },
  { title: '2x2 of five channels, a last row left out', shape: [3, 5, 6, 5], options: { size: 2 } },
  {
    title: 'padding that counts',
    shape: [1, 6, 5, 1],
    options: { size: 3, stride: 2, padding: 1, countPadding: true },
  },
  { title: 'the whole picture', shape: [2, 7, 7, 12], options: { size: 7 } },
  { title: 'windows apart', shape: [1, 8, 11, 4], options: { size: 2, stride: 3, padding: 1 } },
];

/** Values of each window inside the picture, in the order of the output. */
function windows({ shape: [B, H, W, C], options: { size, stride = size, padding = 0 } }: Case): number[][] {
  const values = hashedValues('x', B * H * W * C);
  const out = (side: number): number => Math.floor((side + 2 * padding - size) / stride) + 1;
  const [h, w] = [out(H), out(W)];
  return Array.from({ length: B * h * w * C }, (_, flat) => {
    const [c, j] = [flat % C, Math.floor(flat / C) % w];
    const [i, b] = [Math.floor(flat / (C * w)) % h, Math.floor(flat / (C * w * h))];
    const inside: number[] = [];
    for (let y = i * stride - padding; y < i * stride - padding + size; y++)
      for (let x = j * stride - padding; x < j * stride - padding + size; x++)
        if (y >= 0 && x >= 0 && y < H && x < W) inside.push(values[((b * H + y) * W + x) * C + c]!);
    return inside;
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describeVariants('pooling', () => {
  it.each(cases)('$title equals the definition and its numerical gradients', async (given) => {
    const { shape, options } = given;
    const x = hashed('x', shape);
    const most = windows(given).map((inside) => Math.max(...inside));
    const means = windows(given).map(
      (inside) => sum(inside) / (options.countPadding ? options.size ** 2 : inside.length),
    );
    await expectClose(maxPool2d(x, options), most, 0);
    // Sums in float32 of at most 49 values.
    await expectClose(averagePool2d(x, options), means, 1e-6);
    await gradcheck((p) => averagePool2d(p!, options), [x]);
    // Values apart by more than the differences move them, so that no maximum changes its place.
    const count = x.size;
    const apart = Float32Array.from({ length: count }, (_, i) => ((i * 7919) % count) - count / 2);
    await gradcheck((p) => maxPool2d(p!, options), [tensor(apart, shape)]);
  });

  it('the gradient of equal values goes to the first of a window, as in PyTorch', async () => {
    const x = ones([1, 3, 3, 1], { requiresGrad: true });
    const [dx] = backward(total(maxPool2d(x, { size: 2, stride: 1 })), [x]);
    await expectClose(dx!, [1, 1, 0, 1, 1, 0, 0, 0, 0], 0);
  });

  it('refuses windows that do not fit', () => {
    const x = hashed('x', [1, 2, 3, 4]);
    expect(() => maxPool2d(x, { size: 3 })).toThrow(
      'maxPool2d: window 3x3 must fit the padded picture, got 2x3 with padding 0.',
    );
    expect(() => averagePool2d(x, { size: 2, padding: 2 })).toThrow(
      'averagePool2d: size and stride must be positive integers and padding at most half the size, got 2, 2 and 2.',
    );
  });
});

import { expect, it } from 'vitest';
import { describeVariants, expectClose, gradcheck, hashed, hashedValues } from '../testing/index.ts';
import { backward } from '../autograd/backward.ts';
import { scope } from '../scope.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { conv2d, type Padding } from './conv2d.ts';
import { sum } from './reduce.ts';
import { contiguous, permute } from './view.ts';

interface Case {
  readonly title: string;
  readonly x: readonly [number, number, number, number];
  readonly weight: readonly [number, number, number, number];
  readonly stride: number;
  readonly padding: readonly [number, number, number, number];
}

const cases: Case[] = [
  { title: '3x3 with odd sides', x: [2, 7, 5, 8], weight: [12, 8, 3, 3], stride: 1, padding: [1, 1, 1, 1] },
  { title: 'three input channels', x: [1, 6, 9, 3], weight: [5, 3, 3, 3], stride: 1, padding: [1, 1, 1, 1] },
  {
    title: 'stride 2 after padding bottom and right only',
    x: [2, 8, 6, 4],
    weight: [4, 4, 3, 3],
    stride: 2,
    padding: [0, 1, 1, 0],
  },
  { title: 'one output channel, no padding', x: [3, 5, 4, 4], weight: [1, 4, 3, 3], stride: 1, padding: [0, 0, 0, 0] },
  { title: '1x1', x: [2, 3, 5, 6], weight: [7, 6, 1, 1], stride: 1, padding: [0, 0, 0, 0] },
  { title: '1x1 with stride 3', x: [1, 7, 7, 4], weight: [4, 4, 1, 1], stride: 3, padding: [0, 0, 0, 0] },
  { title: '2x4 window', x: [1, 5, 9, 4], weight: [8, 4, 2, 4], stride: 1, padding: [1, 0, 0, 2] },
];

/** The sum over the window, pixel by pixel. */
function reference({
  x: [B, H, W, I],
  weight: [O, , kh, kw],
  stride,
  padding: [top, right, bottom, left],
}: Case): number[] {
  const [image, kernel, bias] = [
    hashedValues('x', B * H * W * I),
    hashedValues('w', O * I * kh * kw),
    hashedValues('b', O),
  ];
  const [h, w] = [Math.floor((H + top + bottom - kh) / stride) + 1, Math.floor((W + left + right - kw) / stride) + 1];
  const pixel = (b: number, y: number, z: number, i: number): number =>
    y < 0 || z < 0 || y >= H || z >= W ? 0 : image[((b * H + y) * W + z) * I + i]!;
  return Array.from({ length: B * h * w * O }, (_, flat) => {
    const [o, column, line, b] = [
      flat % O,
      Math.floor(flat / O) % w,
      Math.floor(flat / (O * w)) % h,
      Math.floor(flat / (O * w * h)),
    ];
    let total = bias[o]!;
    for (let i = 0; i < I; i++)
      for (let ky = 0; ky < kh; ky++)
        for (let kx = 0; kx < kw; kx++)
          total +=
            pixel(b, line * stride + ky - top, column * stride + kx - left, i) *
            kernel[((o * I + i) * kh + ky) * kw + kx]!;
    return total;
  });
}

describeVariants('conv2d', () => {
  it.each(cases)('$title equals the definition and its numerical gradients', async (given) => {
    const padding = given.padding as Padding;
    const inputs = [hashed('x', given.x), hashed('w', given.weight), hashed('b', [given.weight[0]])] as const;
    await expectClose(
      conv2d(inputs[0], inputs[1], { bias: inputs[2], stride: given.stride, padding }),
      reference(given),
      1e-5,
    );
    await gradcheck((x, w, b) => conv2d(x!, w!, { bias: b!, stride: given.stride, padding }), inputs);
  });

  it.each(cases)('$title ends with relu, with gradients or without', async (given) => {
    const { x, weight, stride, padding } = given;
    const inputs = [hashed('x', x), hashed('w', weight), hashed('b', [weight[0]])] as const;
    const run = (a: Tensor, b: Tensor, c: Tensor): Tensor =>
      conv2d(a, b, { bias: c, stride, padding: padding as Padding, activation: 'relu' });
    const wanted = reference(given).map((value) => Math.max(0, value));
    await expectClose(run(...inputs), wanted, 1e-5);
    // Biases far from zero on both sides keep the differences away from the kink.
    const far = Float32Array.from({ length: weight[0] }, (_, o) => (o % 2 ? -50 : 50));
    await gradcheck((a, b, c) => run(a!, b!, c!), [inputs[0], inputs[1], tensor(far, [weight[0]])]);
  });

  it.each([1, 2] as const)('computes no gradient of a filter that is frozen, repeated %i times', async (upsample) => {
    const [x, weight, bias] = [hashed('x', [1, 6, 5, 8]), hashed('w', [8, 8, 3, 3]), hashed('b', [8])];
    x.requiresGrad = true;
    const run = (learns: boolean): { dx: Tensor; dispatches: number } => {
      for (const one of [weight, bias]) one.requiresGrad = learns;
      return scope(() => {
        const y = sum(conv2d(x, weight, { bias, padding: 1, upsample }));
        const before = x.storage.device.stats().dispatches;
        const [dx] = backward(y, [x]);
        return { dx: dx!, dispatches: x.storage.device.stats().dispatches - before };
      });
    };
    const [learning, frozen] = [run(true), run(false)];
    expect(frozen.dispatches).toBeLessThan(learning.dispatches);
    await expectClose(frozen.dx, learning.dx, 0);
  });

  it('reads a weight that is stored [kh, kw, I, O] where it lies', async () => {
    const [x, stored] = [hashed('x', [1, 5, 6, 4]), hashed('w', [3, 1, 4, 8])];
    const view = permute(stored, [3, 2, 0, 1]);
    const packed = contiguous(view);
    const before = stored.storage.device.stats().dispatches;
    const y = conv2d(x, view, { padding: [1, 0, 1, 0] });
    expect(stored.storage.device.stats().dispatches - before).toBe(1);
    await expectClose(y, await conv2d(x, packed, { padding: [1, 0, 1, 0] }).data(), 0);
  });

  it('refuses what does not fit', () => {
    expect(() => conv2d(hashed('x', [1, 4, 4, 3]), hashed('w', [2, 4, 3, 3]))).toThrow(
      'conv2d: input must have 4 channels for weight [2,4,3,3], got [1,4,4,3]. Pictures are [B, H, W, C].',
    );
    expect(() => conv2d(hashed('x', [1, 2, 2, 4]), hashed('w', [2, 4, 3, 3]))).toThrow(
      'conv2d: window 3x3 must fit the padded picture, got 2x2 with padding [0,0,0,0].',
    );
  });
});

import { backward, mean, scope, square } from '@star-webgpu/tensor-webgpu';
import { expectClose, gradcheck, hashed, hashedValues, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { Discriminator, publishedDiscriminator } from './discriminator.ts';

beforeAll(testDevice);

/** Pictures with their channels as planes: [b][c][y][x]. */
type Planes = readonly (readonly (readonly (readonly number[])[])[])[];

const build = (
  [B, C, H, W]: readonly [number, number, number, number],
  value: (b: number, c: number, y: number, x: number) => number,
): Planes => {
  const list = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
  return list(B, (b) => list(C, (c) => list(H, (y) => list(W, (x) => value(b, c, y, x)))));
};

const shapeOf = (planes: Planes): readonly [number, number, number, number] => [
  planes.length,
  planes[0]!.length,
  planes[0]![0]!.length,
  planes[0]![0]![0]!.length,
];

/** A 4x4 convolution with padding 1, tap by tap. */
function convolved(input: Planes, weight: Float32Array, bias: Float32Array | undefined, stride: number): Planes {
  const [B, I, H, W] = shapeOf(input);
  const side = (length: number): number => Math.floor((length - 2) / stride) + 1;
  return build([B, weight.length / (16 * I), side(H), side(W)], (b, o, y, x) => {
    let total = bias?.[o] ?? 0;
    for (let i = 0; i < I; i++)
      for (let tap = 0; tap < 16; tap++) {
        const pixel = input[b]![i]![y * stride - 1 + Math.floor(tap / 4)]?.[x * stride - 1 + (tap % 4)] ?? 0;
        total += pixel * weight[(o * I + i) * 16 + tap]!;
      }
    return total;
  });
}

/** (x - mean) / sqrt(variance + eps) of each channel over all pixels of the batch. */
function normalised(input: Planes, gain: Float32Array, shift: Float32Array): Planes {
  const statistics = Array.from(gain, (_, c) => {
    const all = input.flatMap((picture) => picture[c]!.flat());
    const average = all.reduce((sum, value) => sum + value, 0) / all.length;
    return { average, variance: all.reduce((sum, value) => sum + (value - average) ** 2, 0) / all.length };
  });
  return build(shapeOf(input), (b, c, y, x) => {
    const { average, variance } = statistics[c]!;
    return ((input[b]![c]![y]![x]! - average) / Math.sqrt(variance + 1e-5)) * gain[c]! + shift[c]!;
  });
}

const leaky = (input: Planes): Planes =>
  build(shapeOf(input), (b, c, y, x) => Math.max(input[b]![c]![y]![x]!, 0.2 * input[b]![c]![y]![x]!));

/** A discriminator whose norms do not start as one and zero. */
async function trained(layers: number): Promise<{ model: Discriminator; weights: Map<string, Float32Array> }> {
  const model = new Discriminator({ channels: 4, layers }, { seed: 3 });
  const weights = new Map<string, Float32Array>();
  for (const [name, parameter] of model.namedParameters()) {
    const values = hashedValues(name, parameter.size, 0.4).map((value) =>
      name.endsWith('weight') && parameter.rank === 1 ? 1 + value : value,
    );
    parameter.storage.device.write(parameter.buffer, values);
    weights.set(name, values);
  }
  return { model, weights };
}

describe('the discriminator', () => {
  it.each([
    [1, 9, 7],
    [2, 21, 18],
  ])('of %i layers equals the definition, with numerical gradients: %i x %i pixels', async (layers, height, width) => {
    const { model, weights } = await trained(layers);
    const images = hashed('images', [3, height, width, 3]);
    const values = await images.data();
    const pixel = (b: number, c: number, y: number, x: number): number =>
      values[((b * height + y) * width + x) * 3 + c]!;
    const at = (name: string): Float32Array => weights.get(`main.${name}`)!;
    let x = leaky(convolved(build([3, 3, height, width], pixel), at('0.weight'), at('0.bias'), 2));
    for (let layer = 0; layer < layers; layer++) {
      const index = 2 + 3 * layer;
      const y = convolved(x, at(`${index}.weight`), undefined, layer + 1 < layers ? 2 : 1);
      x = leaky(normalised(y, at(`${index + 1}.weight`), at(`${index + 1}.bias`)));
    }
    const last = 2 + 3 * layers;
    const wanted = convolved(x, at(`${last}.weight`), at(`${last}.bias`), 1);
    const logits = model.forward(images);
    expect(logits.shape).toEqual([3, wanted[0]![0]!.length, wanted[0]![0]![0]!.length, 1]);
    // Tolerance for outputs of networks in float32.
    await expectClose(logits, wanted.flat(3), 5e-5);
    // Steps short enough to cross few kinks of the leaky ReLUs.
    await gradcheck((one) => mean(square(model.forward(one!))), [images], { step: 1e-3, tolerance: 2e-2 });
    model.dispose();
  });

  it('has the published names and shapes, and gradients for each', async () => {
    const model = new Discriminator({ ...publishedDiscriminator, channels: 8 }, { seed: 1 });
    const parameters = model.namedParameters();
    expect([...parameters.keys()]).toEqual([
      'main.0.weight',
      'main.0.bias',
      ...[2, 5, 8].flatMap((index) => [`main.${index}.weight`, `main.${index + 1}.weight`, `main.${index + 1}.bias`]),
      'main.11.weight',
      'main.11.bias',
    ]);
    expect(parameters.get('main.8.weight')!.shape).toEqual([64, 32, 4, 4]);
    const images = hashed('images', [2, 64, 64, 3]);
    const gradients = scope(() => {
      const logits = model.forward(images);
      expect(logits.shape).toEqual([2, 6, 6, 1]);
      return backward(mean(square(logits)), [...parameters.values()]);
    });
    for (const gradient of gradients) expect((await gradient.data()).some((value) => value !== 0)).toBe(true);
    model.dispose();
  });
});

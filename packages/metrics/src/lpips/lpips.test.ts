import {
  backward,
  type HostTensor,
  hostFloats,
  readSafetensors,
  scope,
  sum,
  writeSafetensors,
} from '@star-webgpu/tensor-webgpu';
import { hashed, hashedValues, relativeError, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Picture } from '../picture.ts';
import { change, flat, noise } from '../testing/pictures.ts';
import { smallLpipsFiles } from '../testing/small-networks.ts';
import { type LpipsConfig, lpipsConfig } from './config.ts';
import { Lpips, loadLpips, lpips } from './lpips.ts';

beforeAll(async () => void (await testDevice()));

/** Weights of a small network. */
const smallWeights = (config: LpipsConfig): Map<string, HostTensor> =>
  new Map(readSafetensors(smallLpipsFiles(config.network).get('model.safetensors')!));

/** A picture's channels as planes of numbers. */
interface Planes {
  readonly height: number;
  readonly width: number;
  readonly planes: readonly Float64Array[];
}

const at = ({ height, width, planes }: Planes, channel: number, y: number, x: number): number =>
  y < 0 || x < 0 || y >= height || x >= width ? 0 : planes[channel]![y * width + x]!;

const build = (
  channels: number,
  [height, width]: readonly [number, number],
  value: (c: number, y: number, x: number) => number,
): Planes => ({
  height,
  width,
  planes: Array.from({ length: channels }, (_, c) =>
    Float64Array.from({ length: height * width }, (__, i) => value(c, Math.floor(i / width), i % width)),
  ),
});

/** relu(x * weight + bias), tap by tap. */
function convolved(
  input: Planes,
  weights: Map<string, HostTensor>,
  index: number,
  [stride, padding]: readonly [number, number],
): Planes {
  const { shape } = weights.get(`features.${index}.weight`)!;
  const [O, I, k] = shape as [number, number, number];
  const [kernel, bias] = ['weight', 'bias'].map((part) => hostFloats(weights.get(`features.${index}.${part}`)!));
  const side = (length: number): number => Math.floor((length + 2 * padding - k) / stride) + 1;
  return build(O, [side(input.height), side(input.width)], (o, y, x) => {
    let sum = bias![o]!;
    for (let i = 0; i < I; i++)
      for (let tap = 0; tap < k * k; tap++)
        sum +=
          kernel![(o * I + i) * k * k + tap]! *
          at(input, i, y * stride - padding + Math.floor(tap / k), x * stride - padding + (tap % k));
    return Math.max(0, sum);
  });
}

const pooled = (input: Planes, size: number): Planes =>
  build(
    input.planes.length,
    [Math.floor((input.height - size) / 2) + 1, Math.floor((input.width - size) / 2) + 1],
    (c, y, x) =>
      Math.max(
        ...Array.from({ length: size * size }, (_, i) =>
          at(input, c, 2 * y + Math.floor(i / size), 2 * x + (i % size)),
        ),
      ),
  );

/** The layers as the paper's tables list them: numbers are convolutions, 'pool' halves. */
const tables = {
  alexnet: { pool: 3, stages: [[0], ['pool', 3], ['pool', 6], [8], [10]] },
  vgg16: {
    pool: 2,
    stages: [
      [0, 2],
      ['pool', 5, 7],
      ['pool', 10, 12, 14],
      ['pool', 17, 19, 21],
      ['pool', 24, 26, 28],
    ],
  },
} as const;
const windows: Record<string, readonly [number, number]> = { 'alexnet 0': [4, 2], 'alexnet 3': [1, 2] };

/** A picture in -1..1. */
type Pixels = (c: number, y: number, x: number) => number;

const pixelsOf =
  ({ width, data }: Picture): Pixels =>
  (c, y, x) =>
    data[(y * width + x) * 3 + c]! / 127.5 - 1;

/** The distance, in float64. */
function distanceByDefinition(
  { network }: LpipsConfig,
  weights: Map<string, HostTensor>,
  { height, width, pair }: { height: number; width: number; pair: readonly [Pixels, Pixels] },
): number {
  let views = pair.map((pixels) =>
    build(3, [height, width], (c, y, x) => (pixels(c, y, x) - [-0.03, -0.088, -0.188][c]!) / [0.458, 0.448, 0.45][c]!),
  );
  const { pool, stages } = tables[network];
  return stages.reduce((total, layers, stage) => {
    for (const layer of layers)
      views = views.map((view) =>
        layer === 'pool'
          ? pooled(view, pool)
          : convolved(view, weights, layer, windows[`${network} ${layer}`] ?? [1, 1]),
      );
    const shares = hostFloats(weights.get(`lin${stage}.model.1.weight`)!);
    const [a, b] = views as [Planes, Planes];
    const norms = views.map(
      ({ planes }) =>
        (pixel: number) =>
          Math.hypot(...planes.map((plane) => plane[pixel]!)) + 1e-10,
    );
    const pixels = a.height * a.width;
    let sum = 0;
    for (let pixel = 0; pixel < pixels; pixel++)
      shares.forEach((share, c) => {
        sum += share * (a.planes[c]![pixel]! / norms[0]!(pixel) - b.planes[c]![pixel]! / norms[1]!(pixel)) ** 2;
      });
    return total + sum / pixels;
  }, 0);
}

const distancesOf = async (model: Lpips, pairs: readonly (readonly [Picture, Picture])[]): Promise<number[]> => {
  const found: number[] = [];
  for await (const distance of lpips(model, pairs)) found.push(distance);
  return found;
};

describe.each(['alexnet', 'vgg16'] as const)('LPIPS with %s', (network) => {
  const config = lpipsConfig({ network, channelDivisor: 16 });

  it('equals the definition, for pairs of different sizes', async () => {
    const weights = smallWeights(config);
    const model = new Lpips(config).load(weights).freeze();
    const pairs = [
      [noise(41, 35, 1), noise(41, 35, 2)],
      [noise(64, 33, 3), change(noise(64, 33, 3), (i) => (i * 31) % 17)],
    ] as const;
    const found = await distancesOf(model, pairs);
    for (const [i, pair] of pairs.entries()) {
      const { height, width } = pair[0];
      const wanted = distanceByDefinition(config, weights, {
        height,
        width,
        pair: [pixelsOf(pair[0]), pixelsOf(pair[1])],
      });
      // Tolerance for outputs of networks in float32.
      expect(Math.abs(found[i]! - wanted)).toBeLessThan(5e-5 * wanted);
    }
    model.dispose();
  });

  it('has the gradients of the definition, as a loss wants them', async () => {
    const weights = smallWeights(config);
    const model = new Lpips(config).load(weights).freeze();
    const [height, width] = [35, 33];
    const shape = [1, height, width, 3];
    const [got, want] = [Object.assign(hashed('got', shape), { requiresGrad: true }), hashed('want', shape)];
    const [gradient] = scope(() => backward(sum(model.forward(got, want)), [got]));
    const [values, others, slopes] = [await got.data(), await want.data(), await gradient!.data()];
    const at = (c: number, y: number, x: number): number => (y * width + x) * 3 + c;
    const [found, wanted]: [number[], number[]] = [[], []];
    for (let i = 0; i < 3; i++) {
      const direction = hashedValues(`direction/${i}`, values.length);
      // In float64 steps are short enough to cross no kink.
      const moved = (step: number): number =>
        distanceByDefinition(config, weights, {
          height,
          width,
          pair: [(...p) => values[at(...p)]! + step * direction[at(...p)]!, (...p) => others[at(...p)]!],
        });
      wanted.push((moved(1e-6) - moved(-1e-6)) / 2e-6);
      found.push(slopes.reduce((total, slope, k) => total + slope * direction[k]!, 0));
    }
    // Tolerance for gradients in float32.
    expect(relativeError(found, wanted)).toBeLessThan(1e-4);
    model.dispose();
  });

  it('is zero for equal pictures, the same both ways, and grows with the noise', async () => {
    const model = new Lpips(config).load(smallWeights(config)).freeze();
    const picture = noise(64, 64, 4);
    const noisy = (strength: number): Picture => change(picture, (i) => ((i * 7919) % (2 * strength + 1)) - strength);
    const [same, little, much, back] = await distancesOf(model, [
      [picture, picture],
      [picture, noisy(8)],
      [picture, noisy(90)],
      [noisy(90), picture],
    ]);
    expect(same).toBe(0);
    expect(much).toBeGreaterThan(little!);
    expect(back).toBeCloseTo(much!, 5);
    model.dispose();
  });
});

describe('loadLpips', () => {
  it('reads a folder, without the classifier, and says what does not fit', async () => {
    const config = lpipsConfig({ channelDivisor: 16 });
    const weights = smallWeights(config);
    weights.set('classifier.1.weight', weights.get('features.0.bias')!);
    const folder = async (file: string): Promise<Uint8Array> =>
      file === 'config.json' ? new TextEncoder().encode('{"channelDivisor": 16}') : writeSafetensors(weights);
    (await loadLpips(folder)).dispose();
    weights.delete('lin2.model.1.weight');
    await expect(loadLpips(folder)).rejects.toThrow(
      'Lpips: weights must match the model. missing: lin2.model.1.weight. Check that config and weights belong together.',
    );
  });

  it('refuses other networks, and pairs of two sizes', async () => {
    expect(() => lpipsConfig({ network: 'resnet' as never, channelDivisor: 3 })).toThrow(
      'lpips: config must be valid, got network "resnet" instead of "alexnet" or "vgg16"; channelDivisor 3 instead of 1, 2, 4, 8 or 16. Correct these fields.',
    );
    const model = new Lpips(lpipsConfig({ channelDivisor: 16 }));
    await expect(distancesOf(model, [[flat(40, 40, 0), flat(40, 41, 0)]])).rejects.toThrow(
      'lpips: pictures must have one size, got 40x40 and 40x41. Resize one.',
    );
    model.dispose();
  });
});

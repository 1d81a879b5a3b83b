import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { hostRandom, tensor } from '@star-webgpu/tensor-webgpu';
import { expectClose, hashed, hashedValues, testDevice, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import { draw, type DrawNumbers } from './draw.ts';
import { plannedOptions, ScaleControls } from './plan-numbers.ts';
import { resolveOptions, type SamplingOptions } from './options.ts';

beforeAll(testDevice);

const place = { scale: 1, scales: 3 };

/** Numbers for so many pictures. */
function numbersOf(options: SamplingOptions, B: number): DrawNumbers {
  const { seeds, ...numbers } = resolveOptions(options, B, { patchNumbers: [1] });
  const { smooth, entropyTemperature, ...planned } = plannedOptions(numbers);
  const controls = new ScaleControls({ smooth, entropyTemperature, ...planned });
  onTestFinished(() => controls.dispose());
  controls.assign(numbers, 0);
  return { filter: controls.filter, smooth, entropyTemperature, seed: seeds };
}

const exponentials = (row: readonly number[]): number[] => row.map((value) => Math.exp(value));
const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** The class at which the cumulative distribution passes a uniform number. */
function inverse(weights: readonly number[], part: number): number {
  let sum = 0;
  return weights.findIndex((weight) => (sum += weight / total(weights)) > part);
}

describe('draw', () => {
  it('takes the likeliest token with top-k 1, and its code vector', async () => {
    const logits = hashedValues('logits', 2 * 3 * 7);
    const codebook = hashedValues('codebook', 7 * 4);
    const { indices_Bl, codes_BlZ } = draw(
      tensor(logits, [2, 3, 7]),
      tensor(codebook, [7, 4]),
      place,
      numbersOf({ topK: 1 }, 2),
    );
    const best = Array.from({ length: 6 }, (_, r) => {
      const row = [...logits.subarray(r * 7, r * 7 + 7)];
      return row.indexOf(Math.max(...row));
    });
    expect(indices_Bl.shape).toEqual([2, 3]);
    await expectClose(indices_Bl, best, 0);
    await expectClose(
      codes_BlZ,
      best.flatMap((index) => [...codebook.subarray(index * 4, index * 4 + 4)]),
      0,
    );
  });

  it('draws differently at each scale and under each seed, and the same again', async () => {
    const logits = hashed('logits', [1, 40, 64]);
    const codebook = hashed('codebook', [64, 4]);
    const drawn = async (scale: number, seed: number): Promise<string> =>
      String(await valuesOf(draw(logits, codebook, { scale, scales: 3 }, numbersOf({ seed }, 1)).indices_Bl));
    const all = [await drawn(0, 1), await drawn(1, 1), await drawn(0, 2)];
    expect(new Set(all).size).toBe(3);
    expect(await drawn(0, 1)).toBe(all[0]);
  });

  it.each([
    { temperature: 0.5, topK: 0, topP: 0 },
    { temperature: 2, topK: 0, topP: 0, smooth: true },
  ])('draws from logits divided by the temperature, %o', async (options) => {
    const logits = hashedValues('logits', 40 * 9, 3);
    const drawn = draw(
      tensor(logits, [1, 40, 9]),
      hashed('codebook', [9, 4]),
      place,
      numbersOf({ ...options, seed: 6 }, 1),
    );
    const random = hostRandom(6, 2);
    const want = Array.from({ length: 40 }, (_, r) => {
      const row = [...logits.subarray(r * 9, r * 9 + 9)].map((value) => value / options.temperature);
      return inverse(exponentials(row), random.uniform());
    });
    await expectClose(drawn.indices_Bl, want, 0);
  });

  it('divides by amplitude exp(-H / decay) + floor of what top-k has left, H its entropy', async () => {
    const logits = hashedValues('logits', 40 * 9, 3);
    const entropyTemperature = { amplitude: 2, decay: 0.7, floor: 0.3 };
    const numbers = numbersOf({ entropyTemperature, topK: 4, topP: 0, temperature: 1.25, seed: 6 }, 1);
    const { indices_Bl } = draw(tensor(logits, [1, 40, 9]), hashed('codebook', [9, 4]), place, numbers);
    const random = hostRandom(6, 2);
    const want = Array.from({ length: 40 }, (_, r) => {
      const row = [...logits.subarray(r * 9, r * 9 + 9)].map((value) => value / 1.25);
      const bound = row.toSorted((a, b) => b - a)[3]!;
      const weights = row.map((value) => (value < bound ? 0 : Math.exp(value)));
      const shares = weights.map((weight) => weight / total(weights)).filter((share) => share > 0);
      const entropy = -total(shares.map((share) => share * Math.log(share)));
      const temperature = 2 * Math.exp(-entropy / 0.7) + 0.3;
      const softened = row.map((value) => (value < bound ? 0 : Math.exp(value / temperature)));
      return inverse(softened, random.uniform());
    });
    await expectClose(indices_Bl, want, 0);
  });

  it('mixes code vectors by the softened, noisy probabilities of the tokens that remain', async () => {
    const [V, Z] = [7, 4];
    const logits = hashedValues('logits', V);
    const codebook = hashedValues('codebook', V * Z);
    const options = numbersOf({ topK: 3, topP: 0, smooth: true, seed: 9 }, 1);
    const { codes_BlZ } = draw(tensor(logits, [1, 1, V]), tensor(codebook, [V, Z]), place, options);
    const random = hostRandom(9, 3);
    const bound = [...logits].sort((a, b) => b - a)[2]!;
    const temperature = 0.27 * (1 - 0.95 * 0.5);
    const weights = [...logits].map((value) => {
      const noise = -Math.log(-Math.log((Math.floor(random.uniform() * 2 ** 23) + 0.5) / 2 ** 23));
      return value < bound ? 0 : Math.exp((value * 1.5 + noise) / temperature);
    });
    const mixed = Array.from({ length: Z }, (_, z) =>
      weights.reduce((sum, weight, v) => sum + (weight / total(weights)) * codebook[v * Z + z]!, 0),
    );
    await expectClose(codes_BlZ, mixed, 1e-5);
  });
});

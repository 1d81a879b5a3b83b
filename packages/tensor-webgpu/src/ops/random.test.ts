import { beforeAll, describe, expect, it } from 'vitest';
import { hostRandom } from '../nn/host-random.ts';
import { expectClose, testDevice, valuesOf } from '../testing/index.ts';
import { bernoulli, gumbel, normal, uniform } from './random.ts';

beforeAll(testDevice);

const hostUniform = (seed: number, stream: number, count: number): number[] => {
  const random = hostRandom(seed, stream);
  return Array.from({ length: count }, () => random.uniform());
};

describe('uniform', () => {
  it.each([0, 1, 42, 2 ** 32 - 1, 2 ** 40 + 7])('has the bits of the host under seed %i', async (seed) => {
    const got = await valuesOf(uniform([1025], { seed, stream: 3 }));
    expect([...got]).toEqual(hostUniform(seed, 3, 1025));
  });

  it.each([1, 2, 3, 4, 5, 1023])('skips %i numbers of the stream', async (offset) => {
    const got = await valuesOf(uniform([7], { seed: 9, offset }));
    expect([...got]).toEqual(hostUniform(9, 0, offset + 7).slice(offset));
  });

  it('gives each share of the first axis the numbers of its own seed', async () => {
    const got = await valuesOf(uniform([4, 3], { seed: [5, 6], offset: 1 }));
    expect([...got]).toEqual([5, 6].flatMap((seed) => hostUniform(seed, 0, 7).slice(1)));
  });

  it('refuses a negative seed and seeds that do not share the rows', () => {
    expect(() => uniform([2], { seed: -1 })).toThrow(
      'uniform: seed must be a whole number from 0 to 2^53 - 1, got -1.',
    );
    expect(() => uniform([3], { seed: [1, 2] })).toThrow('uniform: seeds must divide the 3 rows evenly, got 2.');
  });
});

/** Mean and variance of a sample. */
function moments(values: Float32Array): [number, number] {
  const mean = values.reduce((total, value) => total + value, 0) / values.length;
  return [mean, values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length];
}

describe('other distributions', () => {
  it('normal follows the host to f32', async () => {
    const random = hostRandom(11, 2);
    const want = Array.from({ length: 1001 }, () => random.normal());
    await expectClose(normal([1001], { seed: 11, stream: 2 }), want, 1e-6);
    await expectClose(normal([6], { seed: 11, stream: 2, offset: 3 }), want.slice(3, 9), 1e-6);
  });

  it('gumbel has the mean and variance of its law, and is finite', async () => {
    const values = await valuesOf(gumbel([100_000], { seed: 1 }));
    expect(values.every(Number.isFinite)).toBe(true);
    const [mean, variance] = moments(values);
    // Three standard errors of 100,000 draws: 0.012 for the mean, 0.05 for the variance.
    expect(Math.abs(mean - 0.5772)).toBeLessThan(0.012);
    expect(Math.abs(variance - Math.PI ** 2 / 6)).toBeLessThan(0.05);
  });

  it('gumbel is exact at both ends: -log(-log(u)) of the 23-bit cell centres', async () => {
    const words = hostUniform(3, 0, 4000).map((value) => Math.floor(value * 2 ** 23) + 0.5);
    await expectClose(
      gumbel([4000], { seed: 3 }),
      words.map((word) => -Math.log(-Math.log(word / 2 ** 23))),
      2e-6,
    );
  });

  it('bernoulli is 1 where uniform is below the probability', async () => {
    const want = hostUniform(8, 0, 999).map((value) => (value < 0.3 ? 1 : 0));
    await expectClose(bernoulli([999], 0.3, { seed: 8 }), want, 0);
  });
});

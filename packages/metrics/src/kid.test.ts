import { hashedValues, loadGoldenJson, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { kernelDistance, kid } from './kid.ts';
import { goldenFile } from './testing/golden-file.ts';
import { rowsOf } from './testing/rows.ts';

beforeAll(async () => void (await testDevice()));

const samples = rowsOf(hashedValues('fid_a', 64 * 16), 16);
const references = rowsOf(
  Float32Array.from(hashedValues('fid_b', 80 * 16), (value) => 1.3 * value + 0.2),
  16,
);

describe('kernelDistance', () => {
  it('equals the reference', async () => {
    const golden = await loadGoldenJson<{ kid_unbiased_poly3: number }>(goldenFile('frechet.json'));
    // Products in float32: 1e-7 of kernels of about 2, against a distance of 0.15.
    expect(await kernelDistance({ samples, references })).toBeCloseTo(golden.kid_unbiased_poly3, 5);
  });

  it('is the definition for more rows than one product takes', async () => {
    const [x, y] = [rowsOf(hashedValues('x', 1003 * 3), 3), rowsOf(hashedValues('y', 7 * 3), 3)];
    const kernel = (a: Float32Array, b: Float32Array): number =>
      (a.reduce((sum, value, i) => sum + value * b[i]!, 0) / 3 + 1) ** 3;
    const mean = (a: Float32Array[], b: Float32Array[]): number => {
      let [sum, count] = [0, 0];
      for (const [i, u] of a.entries())
        for (const [j, v] of b.entries()) if (a !== b || i !== j) [sum, count] = [sum + kernel(u, v), count + 1];
      return sum / count;
    };
    const wanted = mean(x, x) + mean(y, y) - 2 * mean(x, y);
    expect(await kernelDistance({ samples: x, references: y })).toBeCloseTo(wanted, 5);
  });
});

describe('kid', () => {
  it('of whole sets is the kernel distance, without deviation', async () => {
    const sets = { samples, references: references.slice(0, 64) };
    const { mean, deviation, subsetSize } = await kid(sets, { subsets: 2 });
    expect(mean).toBeCloseTo(await kernelDistance(sets), 5);
    // The same pairs, added in another order.
    expect(deviation).toBeLessThan(1e-6);
    expect(subsetSize).toBe(64);
  });

  it('is near the kernel distance for subsets, and repeats with its seed', async () => {
    const options = { subsets: 30, subsetSize: 20, seed: 3 };
    const first = await kid({ samples, references }, options);
    expect(await kid({ samples, references }, options)).toEqual(first);
    expect((await kid({ samples, references }, { ...options, seed: 4 })).mean).not.toBe(first.mean);
    const whole = await kernelDistance({ samples, references });
    // An unbiased mean of 30: within four of its own deviations.
    expect(Math.abs(first.mean - whole)).toBeLessThan((4 * first.deviation) / Math.sqrt(30));
  });

  it('refuses single pictures and features of two lengths', async () => {
    await expect(kid({ samples: [samples[0]!], references })).rejects.toThrow(
      'kid: samples must number at least 2, got 1. Add pictures.',
    );
    const short = samples.map((row) => row.subarray(0, 4));
    await expect(kid({ samples, references: short })).rejects.toThrow(
      'kid: features must have one length, got 16 and 4. Take them from the same layer.',
    );
  });
});

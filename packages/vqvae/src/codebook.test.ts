import { backward, concat, hostRandom, mul, sum, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { expectClose, hashed, hashedValues, relativeError, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { codebookUsage, codeHits, reviveDeadCodes } from './codebook.ts';
import { vqvaeConfig } from './config.ts';
import { Quantizer } from './quantizer.ts';
import { UsageMeter } from './usage-meter.ts';

beforeAll(testDevice);

describe('usage of the codebook', () => {
  it('counts the hits of every scale on the device', async () => {
    const indices = [
      [3, 3],
      [0, 1, 2, 3, 0, 1],
      [4, 0, 4, 4, 4, 4, 4, 4, 4, 4],
    ];
    const tensors = indices.map((scale) => tensor(scale, [2, scale.length / 2], { dtype: 'u32' }));
    await expectClose(codeHits(tensors, 5), [0, 0, 0, 2, 0, 2, 2, 1, 1, 0, 1, 0, 0, 0, 9], 0);
  });

  it('is the share of codes with enough hits, and the exponential of the entropy', () => {
    const perplexity = expect.closeTo(Math.exp(Math.log(3) - (2 / 3) * Math.log(2)), 9);
    expect(codebookUsage([1, 0, 2])).toEqual({ used: 2 / 3, perplexity });
    // even use would give each code one hit
    expect(codebookUsage([1, 0, 2], 1)).toEqual({ used: 1 / 3, perplexity });
    expect(codebookUsage([0, 0]).used).toBe(0);
  });

  it('follows the steps as running means, scale by scale, and goes on from its state bit for bit', () => {
    const sizes = { patchNumbers: [1, 3], codebookSize: 7 };
    const stepHits = (step: number): Float32Array => hashedValues(`hits/${step}`, 14).map((value) => Math.abs(value));
    const whole = new UsageMeter(sizes);
    let [before, mean] = [new UsageMeter(sizes), [] as number[]];
    for (let step = 0; step < 130; step++) {
      whole.add(stepHits(step));
      before.add(stepHits(step));
      if (step === 70) {
        const state = before.state();
        before = new UsageMeter(sizes);
        before.restore(state);
      }
      const keep = step === 0 ? 0 : step < 100 ? 0.9 : 0.99;
      mean = [...stepHits(step)].map((hits, i) => keep * (mean[i] ?? 0) + (1 - keep) * hits);
    }
    expect(before.state()).toEqual(whole.state());
    const [coarse, fine] = whole.scales();
    expect(coarse!.perplexity).toBeCloseTo(codebookUsage(mean.slice(0, 7)).perplexity, 4);
    expect(fine!.perplexity).toBeCloseTo(codebookUsage(mean.slice(7)).perplexity, 4);
    expect(fine!.used).toBe(codebookUsage(mean.slice(7), 0.08).used);
  });
});

describe('reviveDeadCodes', () => {
  it('puts looked-up vectors in place of codes that nothing hit, and leaves the others', async () => {
    const codebook = tensor([1, 1, 2, 2, 3, 3], [3, 2]);
    const revival = { counts: [1, 0, 2], lookups: Float32Array.of(9, 8), random: hostRandom(1) };
    expect(await reviveDeadCodes(codebook, revival)).toBe(1);
    expect([...(await codebook.data())]).toEqual([1, 1, 9, 8, 3, 3]);
  });
});

describe.each([
  ['distance', false],
  ['cosine', true],
] as const)('the quantiser in training, by %s', (_, cosineLookup) => {
  const config = vqvaeConfig({ codebookSize: 11, codeWidth: 8, patchNumbers: [1, 2, 5], phis: 0, cosineLookup });
  const quantizer = (): Quantizer => new Quantizer(config, hostRandom(5));
  const latents = (): Tensor => Object.assign(hashed('f', [2, 5, 5, 8]), { requiresGrad: true });

  it('looks up the nearest rows, one by one', async () => {
    const codes = await quantizer().codebook.data();
    const { indices, lookups } = quantizer().quantize(latents());
    const row = (all: Float32Array, i: number): Float32Array => all.subarray(8 * i, 8 * i + 8);
    const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    for (const [scale, found] of indices.entries()) {
      const rows = await lookups[scale]!.data();
      (await found.data()).forEach((index, r) => {
        const nearness = Array.from({ length: 11 }, (__, v) => {
          const [z, code] = [row(rows, r), row(codes, v)];
          return cosineLookup ? dot(z, code) / Math.sqrt(dot(code, code)) : 2 * dot(z, code) - dot(code, code);
        });
        expect(nearness[index]).toBeCloseTo(Math.max(...nearness), 5);
      });
    }
  });

  /** Slope of the losses along a direction in one tensor by central differences, unless an index changes on the way. */
  async function slope(
    losses: () => ReturnType<Quantizer['trainForward']>,
    along: Tensor,
    direction: Float32Array,
  ): Promise<number | undefined> {
    const values = await along.data();
    const step = 1e-3;
    const sides: { readonly loss: number; readonly indices: string }[] = [];
    for (const sign of [1, -1]) {
      const moved = values.map((value, i) => value + sign * step * direction[i]!);
      along.storage.device.write(along.buffer, moved);
      const { loss, indices } = losses();
      sides.push({ loss: await loss.item(), indices: (await concat(indices, 1).data()).join() });
    }
    along.storage.device.write(along.buffer, values);
    const [right, left] = sides as [(typeof sides)[0], (typeof sides)[0]];
    return right.indices === left.indices ? (right.loss - left.loss) / (2 * step) : undefined;
  }

  it.each([
    // The sum is fixed in the commitment loss, the latent map in the other: each gets its share of the slope.
    ['codes', (model: Quantizer) => model.codebook, 1 / (1 + config.beta)],
    ['phi', (model: Quantizer) => model.namedParameters().get('quant_resi.2.weight')!, 1 / (1 + config.beta)],
    ['latent map', (_model: Quantizer, f: Tensor) => f, config.beta / (1 + config.beta)],
  ] as const)('gives the %s numerical gradients of their part of the losses', async (name, of, share) => {
    const [model, f] = [quantizer(), latents()];
    // Codes of the size of what they code, so that every term counts.
    const codes = hashedValues('codes', 88, 0.7);
    model.codebook.storage.device.write(model.codebook.buffer, codes);
    const along = of(model, f);
    const [gradient] = backward(model.trainForward(f).loss, [along]);
    const values = await gradient!.data();
    const [got, want]: [number[], number[]] = [[], []];
    for (let i = 0; i < 8; i++) {
      const direction = hashedValues(`direction/${i}`, along.size);
      const found = await slope(() => model.trainForward(f), along, direction);
      if (found === undefined) continue;
      got.push(values.reduce((total, value, k) => total + value * direction[k]!, 0));
      want.push(share * found);
    }
    expect(got.length).toBeGreaterThan(3);
    // Central differences in f32 reach about 1e-3.
    expect(relativeError(got, want), name).toBeLessThan(5e-3);
  });

  it('hands the gradient of the map to the latents unchanged', async () => {
    const f = latents();
    const { sum_BhwZ, sums } = quantizer().trainForward(f);
    await expectClose(sum_BhwZ, sums.at(-1)!, 1e-6);
    const upstream = hashed('upstream', sum_BhwZ.shape);
    const [df] = backward(sum(mul(sum_BhwZ, upstream)), [f]);
    await expectClose(df!, upstream, 0);
  });
});

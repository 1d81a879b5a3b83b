import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { currentDevice, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { expectClose, loadGolden, testDevice, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import { latentSize, type Ratio, tokenMaps, Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { generate, type GuidedText, type Models } from './generate.ts';
import type { SamplingOptions } from './options.ts';
import { SamplingPlans } from './sampling-plan.ts';
import { features, golden, hashedModels, hashedShape, row, type Sample, sample } from './testing/hashed-models.ts';

let models: Models;
let text: GuidedText;

beforeAll(async () => {
  await testDevice();
  models = await hashedModels();
  text = { conditional: features('', [7, 4]), unconditional: features('uncond_', [2]) };
});

afterAll(() => {
  models.star.dispose();
  models.vqvae.dispose();
});

describe('greedy sampling', () => {
  const greedy = { topK: 1, topP: 0, guidance: 4 };

  it.each([
    ['greedy', 'per-sample', 2],
    ['greedy_quirk', 'first-sample', 1],
  ] as const)('equals the published tokens and latent map: %s', async (name, crossAttention, B) => {
    const numbers = await loadGolden(golden('greedy.safetensors'));
    const own = await hashedModels({ crossAttention });
    const about = B === 2 ? text : { conditional: row(text.conditional, 0), unconditional: text.unconditional };
    const { indices, latent } = await sample(own, about, greedy);
    indices.forEach((got, scale) => expect(got).toEqual([...numbers.get(`${name}.idx.${scale}`)!.values]));
    // 5e-5 is the bound for outputs of networks.
    await expectClose(latent, numbers.get(`${name}.fhat`)!.values, 5e-5);
    own.star.dispose();
    own.vqvae.dispose();
  });
});

describe('sampling', () => {
  const single = (b: number): GuidedText => ({
    conditional: row(text.conditional, b),
    unconditional: text.unconditional,
  });

  it.each([false, true])('gives one picture a seed, smooth %s', async (smooth) => {
    const first = await sample(models, single(0), { seed: 5, smooth });
    expect(await sample(models, single(0), { seed: 5, smooth })).toEqual(first);
    expect((await sample(models, single(0), { seed: 6, smooth })).indices).not.toEqual(first.indices);
  });

  it('gives a batch of three the pictures of three single runs', async () => {
    const conditional = features('three_', [7, 4, 1]);
    const unconditional = text.unconditional;
    const batch = await sample(models, { conditional, unconditional }, { seed: [1, 8, 3] });
    for (const [b, seed] of [1, 8, 3].entries()) {
      const alone = await sample(models, { conditional: row(conditional, b), unconditional }, { seed });
      alone.indices.forEach((got, scale) => {
        const l = got.length;
        expect(batch.indices[scale]!.slice(b * l, b * l + l)).toEqual(got);
      });
      // The same operations on the same numbers; only the tiling of products differs.
      await expectClose(batch.latent.subarray(b * 512, b * 512 + 512), alone.latent, 1e-6);
    }
  });

  it('gives a picture by its own seed and text, whatever its place in the batch, bit for bit', async () => {
    const lengths = [7, 4, 1];
    const conditional = features('three_', lengths);
    const { unconditional } = text;
    const order = [2, 0, 1];
    const seeds = [1, 8, 3];
    const moved = {
      states: await reordered(conditional.states, order),
      mask: await reordered(conditional.mask, order),
      pooled: await reordered(conditional.pooled, order),
    };
    for (const smooth of [false, true]) {
      const first = await sample(models, { conditional, unconditional }, { seed: seeds, smooth });
      const options = { seed: order.map((b) => seeds[b]!), smooth };
      const second = await sample(models, { conditional: moved, unconditional }, options);
      for (const [at, b] of order.entries()) {
        first.indices.forEach((got, scale) => {
          const l = got.length / 3;
          expect(second.indices[scale]!.slice(at * l, at * l + l)).toEqual(got.slice(b * l, b * l + l));
        });
        expect(second.latent.slice(at * 512, at * 512 + 512)).toEqual(first.latent.slice(b * 512, b * 512 + 512));
      }
    }
  });

  it('leaves the unconditional rows out from the scale on that is not guided any more, with the same pictures', async () => {
    const device = currentDevice();
    const run = async (options: SamplingOptions): Promise<{ readonly drawn: Sample; readonly flops: number }> => {
      device.startProfile();
      const drawn = await sample(models, text, options);
      const runs = await device.takeProfile();
      device.stopProfile();
      return { drawn, flops: runs.reduce((sum, { flops }) => sum + flops, 0) };
    };
    const whole = await run({ guidance: [0, 2, 0, 1e-30] });
    const short = await run({ guidance: [0, 2, 0, 0] });
    const none = await run({ guidance: 0 });
    // A strength of 1e-30 is lost in the rounding of 1 + t, so only the computed rows differ.
    expect(short.drawn.indices).toEqual(whole.drawn.indices);
    expect(none.drawn.indices).not.toEqual(whole.drawn.indices);
    expect(short.flops).toBeLessThan(0.65 * whole.flops);
  });

  it('counts seeds up from one number', async () => {
    const twice = { conditional: features('same_', [7]), unconditional: text.unconditional };
    const pair: GuidedText = {
      conditional: {
        ...features('same_', [7, 7]),
        states: await repeat(twice.conditional.states),
        pooled: await repeat(twice.conditional.pooled),
      },
      unconditional: twice.unconditional,
    };
    const { indices } = await sample(models, pair, { seed: 20 });
    const second = await sample(models, twice, { seed: 21 });
    indices.forEach((got, scale) => expect(got.slice(got.length / 2)).toEqual(second.indices[scale]));
  });

  it('does without unconditional text where guidance is 0', async () => {
    const other = { conditional: row(text.conditional, 0), unconditional: features('other_', [3]) };
    const options = { guidance: 0, seed: 2 };
    expect(await sample(models, single(0), options)).toEqual(await sample(models, other, options));
  });

  it('decodes pictures at every scale', async () => {
    for await (const { scale, map, indices_Bl, decode } of generate(models, text)) {
      const side = hashedShape.patchNumbers[scale]!;
      expect(map).toEqual({ height: side, width: side });
      expect(indices_Bl.shape).toEqual([2, side * side]);
      const { count, height, width, data } = await decode();
      expect([count, height, width, data.length]).toEqual([2, 16, 16, 2 * 16 * 16 * 3]);
    }
  });

  it('draws pictures that are not square: maps, latent map and pixels of the ratio, one picture a seed in any batch', async () => {
    const { patchNumbers } = hashedShape;
    for (const ratio of ['16:9', '3:4'] as const) {
      const latent = latentSize(patchNumbers, ratio);
      const maps = tokenMaps(patchNumbers, latent);
      for await (const { scale, map, indices_Bl, sum_BhwZ, decode } of generate(models, text, { ratio })) {
        expect(map).toEqual(maps[scale]);
        expect(indices_Bl.shape).toEqual([2, map.height * map.width]);
        expect(sum_BhwZ.shape).toEqual([2, latent.height, latent.width, 8]);
        const { height, width } = await decode();
        expect([height, width]).toEqual([2 * latent.height, 2 * latent.width]);
      }
      const batch = await sample(models, text, { ratio, seed: [3, 9] });
      const alone = await sample(models, single(1), { ratio, seed: 9 });
      batch.indices.forEach((got, scale) => expect(got.slice(got.length / 2)).toEqual(alone.indices[scale]));
    }
  });

  it('keeps a recording for each ratio: a wide, a tall and a square picture in turn are those of fresh ones', async () => {
    const plans = new SamplingPlans();
    const draw = (from: Models, ratio: Ratio): Promise<Sample> => sample(from, single(0), { ratio, seed: 4 });
    for (const ratio of ['9:16', '16:9', '1:1', '16:9', '9:16'] as const)
      expect(await draw({ ...models, plans }, ratio)).toEqual(await draw(models, ratio));
    plans.dispose();
  });

  it('leaves as many live buffers after 50 samplings as after one', async () => {
    const run = async (): Promise<number> => {
      for await (const { scale, decode } of generate(models, single(0), { smooth: true }))
        if (scale === 3) await decode();
      return currentDevice().stats().liveBuffers;
    };
    const about = single(0);
    const before = currentDevice().stats().liveBuffers;
    const after: number[] = [];
    for (let i = 0; i < 50; i++) {
      for await (const { scale, decode } of generate(models, about)) if (scale === 3) await decode();
      after.push(currentDevice().stats().liveBuffers);
    }
    expect(new Set(after)).toEqual(new Set([before]));
    expect(await run()).toBe(before);
  });

  it('stops between scales by a signal, or when its reader leaves, and frees its memory', async () => {
    const controller = new AbortController();
    const about = single(0);
    const before = currentDevice().stats().liveBuffers;
    const seen: number[] = [];
    const stopped = async (): Promise<void> => {
      for await (const { scale } of generate(models, about, { signal: controller.signal })) {
        seen.push(scale);
        if (scale === 1) controller.abort(new Error('enough'));
      }
    };
    await expect(stopped()).rejects.toThrow('enough');
    expect(seen).toEqual([0, 1]);
    for await (const { scale } of generate(models, about)) if (scale === 2) break;
    expect(currentDevice().stats().liveBuffers).toBe(before);
  });

  it('refuses models that do not belong together, with every difference', async () => {
    const vqvae = new Vqvae(
      vqvaeConfig({
        patchNumbers: [1, 8],
        codeWidth: 8,
        codebookSize: 32,
        channels: 8,
        channelMultipliers: [1],
        residualBlocks: 1,
        normGroups: 4,
      }),
    );
    await expect(generate({ star: models.star, vqvae }, text).next()).rejects.toThrow(
      'generate: models must belong together, got patchNumbers 1,2,4,8 of the transformer and 1,8 of the VQVAE; ' +
        'codebookSize 64 of the transformer and 32 of the VQVAE. Load models that were trained on each other.',
    );
    vqvae.dispose();
  });
});

/** Rows in another order. */
async function reordered(x: Tensor, order: readonly number[]): Promise<Tensor> {
  const values = await valuesOf(x);
  const width = values.length / order.length;
  const rows = order.flatMap((b) => Array.from(values.slice(b * width, b * width + width)));
  return tensor(rows, x.shape, { dtype: x.dtype });
}

/** A row twice. */
async function repeat(x: Tensor): Promise<Tensor> {
  const values = await valuesOf(x);
  return tensor([...values, ...values], [2, ...x.shape.slice(1)]);
}

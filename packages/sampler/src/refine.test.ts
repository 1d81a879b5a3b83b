import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  concat,
  currentDevice,
  drawTokens,
  embedding,
  full,
  ones,
  reshape,
  tensor,
  type Tensor,
  uniform,
} from '@star-webgpu/tensor-webgpu';
import { expectClose, testDevice, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import { rowsOfTokens } from './filter.ts';
import { generate, type GuidedText, type Models } from './generate.ts';
import { guide, scaleRatio } from './guidance.ts';
import { resolveOptions } from './options.ts';
import { refineStream } from './refine-scale.ts';
import { SamplingPlans } from './sampling-plan.ts';
import { drawStable } from './stable.ts';
import { features, hashedModels, hashedShape, row, sample } from './testing/hashed-models.ts';

let models: Models;
let text: GuidedText;

beforeAll(async () => {
  await testDevice();
  models = await hashedModels({ refiner: { depth: 3, sampleFrom: 2 } });
  text = { conditional: features('', [7, 4]), unconditional: features('uncond_', [2]) };
});

afterAll(() => {
  models.star.dispose();
  models.vqvae.dispose();
});

const single = (b: number): GuidedText => ({ ...text, conditional: row(text.conditional, b) });

/** The same greedy sampling by the parts, as the published code goes through them; equally sure tokens are fixed in their order. */
async function byHand(version: '1024' | 'new', seeds: readonly number[]): Promise<number[][]> {
  const { star, vqvae } = models;
  const { codebook } = vqvae.quantizer;
  const { conditional, unconditional } = text;
  const rows = (part: 'states' | 'mask' | 'pooled'): Tensor =>
    concat([conditional[part], unconditional[part], unconditional[part]], 0);
  const cache = star.startCache({ states: rows('states'), mask: rows('mask'), pooled: rows('pooled') });
  const likeliest = (logits_BlV: Tensor): Tensor =>
    reshape(drawTokens(rowsOfTokens(logits_BlV), { topK: 1, seed: 0 }), logits_BlV.shape.slice(0, 2));
  const twice = (x: Tensor): Tensor => concat([x, x], 0);
  const drawn: number[][] = [];
  let [sum, next]: (Tensor | undefined)[] = [];
  for (const [scale, side] of hashedShape.patchNumbers.entries()) {
    const { logits_BlV, features_BlC } = star.step(cache, scale, next ? { input_BlZ: twice(next) } : {});
    const main = (): Tensor => guide(logits_BlV, 2, 4 * scaleRatio(scale, 4));
    const refiner = star.refiner!;
    const state = refiner.begin(scale, { features_BlC, pooled_BD: cache.text.pooled });
    const shape = [2, side * side];
    const heads = {
      main,
      refined: (codes: Tensor) => guide(refiner.logits(refiner.features(state, twice(codes))), 2, 4),
      draw: (logits: Tensor) => ({ drawn_Bl: likeliest(logits), scores_Bl: ones(shape) }),
      random: (step: number) => uniform(shape, { seed: seeds, stream: refineStream(scale, step, 'order') }),
    };
    const open_Bl = full(shape, 64, { dtype: 'u32' });
    const indices_Bl =
      scale < 2 ? likeliest(main()) : drawStable(heads, open_Bl, { codebook_VZ: codebook, scale, version, steps: 8 });
    drawn.push([...(await valuesOf(indices_Bl))]);
    const after = vqvae.quantizer.nextInput(scale, embedding(codebook, indices_Bl), sum);
    [sum, next] = [after.sum_BhwZ, after.next_BlZ];
  }
  return drawn;
}

describe('refined sampling', () => {
  it.each(['1024', 'new'] as const)('goes through the parts as published: version %s', async (version) => {
    const { indices } = await sample(models, text, {
      topK: 1,
      topP: 0,
      guidance: 4,
      seed: [3, 9],
      refine: { version },
    });
    expect(indices).toEqual(await byHand(version, [3, 9]));
  });

  it('is the default of a model with a refiner, changes its large scales only, and can be left out', async () => {
    const [plain, refined, named] = [
      await sample(models, single(0), { seed: 5, refine: false }),
      await sample(models, single(0), { seed: 5 }),
      await sample(models, single(0), { seed: 5, refine: { version: '1024', steps: 8 } }),
    ];
    expect(refined).toEqual(named);
    expect(refined.indices.slice(0, 2)).toEqual(plain.indices.slice(0, 2));
    expect(refined.indices[2]).not.toEqual(plain.indices[2]);
    const other = await hashedModels();
    expect(await sample(other, single(0), { seed: 5 })).toEqual(plain);
    expect(await sample(models, single(0), { seed: 5, refine: { steps: 3 } })).not.toEqual(refined);
    for (const model of [other.star, other.vqvae]) model.dispose();
  });

  it.each(['1024', 'new'] as const)(
    'draws one picture a seed, whatever else is in the batch: version %s',
    async (version) => {
      const conditional = features('three_', [7, 4, 1]);
      const batch = await sample(models, { ...text, conditional }, { seed: [1, 8, 3], refine: { version } });
      expect(batch.indices.flat().every((index) => index < 64)).toBe(true);
      for (const [b, seed] of [1, 8, 3].entries()) {
        const alone = await sample(
          models,
          { ...text, conditional: row(conditional, b) },
          { seed, refine: { version } },
        );
        alone.indices.forEach((got, scale) =>
          expect(batch.indices[scale]!.slice(b * got.length, (b + 1) * got.length)).toEqual(got),
        );
        // The same operations on the same numbers; only the tiling of products differs.
        await expectClose(batch.latent.subarray(b * 512, b * 512 + 512), alone.latent, 1e-6);
      }
    },
  );

  it('replays what it recorded for other seeds, prompts and strengths, and leaves nothing behind', async () => {
    const plans = new SamplingPlans();
    for (const [b, seed, guidance] of [
      [0, 1, 4],
      [1, 2, 4],
      [1, 1, 2],
      [0, 1, 4],
    ] as const)
      expect(await sample({ ...models, plans }, single(b), { seed, guidance })).toEqual(
        await sample(models, single(b), { seed, guidance }),
      );
    plans.dispose();
    const about = single(0);
    const live = currentDevice().stats().liveBuffers;
    for await (const { scale } of generate(models, about)) if (scale === 3) break;
    expect(currentDevice().stats().liveBuffers).toBe(live);
  });

  it('does without unconditional rows where nothing is guided, and keeps them for the refiner where the last scale is', async () => {
    const none = { conditional: row(text.conditional, 0), unconditional: features('other_', [3]) };
    expect(await sample(models, none, { guidance: 0, seed: 2 })).toEqual(
      await sample(models, single(0), { guidance: 0, seed: 2 }),
    );
    const until = { guidance: 4, guidanceUntil: 3, seed: 2 };
    expect((await sample(models, single(0), until)).indices[2]).toEqual(
      (await sample(models, single(0), { guidance: 4, seed: 2 })).indices[2],
    );
  });

  it('draws scales that are not square, with the temperature of the entropy too', async () => {
    const options = { ratio: '16:9', entropyTemperature: true, temperature: 1.2, seed: 6 } as const;
    const [first, again] = [await sample(models, text, options), await sample(models, text, options)];
    expect(first).toEqual(again);
    const alone = await sample(models, single(1), { ...options, seed: 7 });
    alone.indices.forEach((got, scale) => expect(first.indices[scale]!.slice(got.length)).toEqual(got));
  });

  it('begins with the given tokens that stay', async () => {
    const drawn = await sample(models, single(0), { seed: 1 });
    const tokens = drawn.indices.flat();
    const keep = tokens.map((_, i) => Number(i % 3 > 0));
    const given = {
      tokens_BL: tensor(tokens, [1, 85], { dtype: 'u32' }),
      weights_BL: tensor(keep, [1, 85]),
    };
    const edited = (await sample(models, single(1), { seed: 2, given })).indices.flat();
    tokens.forEach((token, i) => keep[i] && expect(edited[i]).toBe(token));
    expect(edited).not.toEqual(tokens);
    const all = { ...given, weights_BL: ones([1, 85]) };
    expect(await sample(models, single(1), { seed: 2, given: all })).toEqual(drawn);
  });

  it('is refused where the model has no refiner, or its options are out of range', () => {
    const scales = { patchNumbers: [1, 2] };
    expect(() => resolveOptions({ refine: true }, 1, scales)).toThrow(
      'got refine true instead of false, as the model has no refiner.',
    );
    const refiner = { depth: 1, sampleFrom: 1 };
    expect(() => resolveOptions({ refine: { version: '512' as 'new', steps: 0 } }, 1, { ...scales, refiner })).toThrow(
      'got refine {"version":"512","steps":0} instead of true, false or { version: "1024" or "new", steps from 1 to 64 }.',
    );
    expect(resolveOptions({}, 1, { ...scales, refiner }).refine).toEqual({ version: '1024', steps: [0, 8] });
    const many = { patchNumbers: Array.from({ length: 14 }, (_, i) => i + 1), refiner: { depth: 3, sampleFrom: 9 } };
    expect(resolveOptions({}, 1, many).refine!.steps).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 15]);
  });
});

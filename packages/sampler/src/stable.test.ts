import { beforeAll, describe, expect, it } from 'vitest';
import { concat, drawTokens, embedding, full, permute, reshape, type Tensor, tensor } from '@star-webgpu/tensor-webgpu';
import { expectClose, hashedValues, loadGolden, testDevice, valuesOf } from '@star-webgpu/tensor-webgpu/testing';
import { rowsOfTokens } from './filter.ts';
import { guide, scaleRatio } from './guidance.ts';
import { drawStable, publishedSteps, type StableHeads } from './stable.ts';
import { features, golden, hashedModels, hashedShape } from './testing/hashed-models.ts';
import { torchTopK } from './testing/torch-top-k.ts';
import { tokenCounts } from './token-counts.ts';

beforeAll(() => testDevice());

describe('stable sampling', () => {
  const sides = hashedShape.patchNumbers;

  /** Random numbers of the k-th time that a batch of two is asked for them. */
  const randomOf = (k: number, l: number): number[] =>
    [...hashedValues(`conf/${k}`, 2 * l)].map((value) => (value + 1) / 2);

  /**
   * What each step scores by in the published run. Drawn with top-k 1, every token has probability 1, and PyTorch takes those it comes
   * upon: so which tokens are fixed does not depend on the model.
   */
  function publishedScores(version: '1024' | 'new', l: number, k: number): number[][] {
    const open = [0, 1].map(() => new Array<number>(l).fill(1));
    return tokenCounts(l, 8).map((count, step) => {
      const random = step < 5 ? randomOf(k + step, l) : undefined;
      return open.flatMap((row, b) => {
        const fix = (places: readonly number[]): number[] => {
          for (const place of places) row[place] = 0;
          return row.map((_, place) => Number(places.includes(place)));
        };
        if (!random) return fix(torchTopK(row, count));
        const sure = version === '1024' ? fix(torchTopK(new Array<number>(l).fill(1), count)) : row.map(() => 0);
        fix(
          torchTopK(
            row.map((value, place) => value * random[b * l + place]!),
            count,
          ),
        );
        return sure;
      });
    });
  }

  it.each([
    ['greedy_refine', 'new'],
    ['greedy_refine1024', '1024'],
  ] as const)('equals the published tokens and latent map: %s', async (name, version) => {
    const numbers = await loadGolden(golden('refine.safetensors'));
    const { star, vqvae } = await hashedModels({ refiner: { depth: 3, sampleFrom: 2 } });
    const { quantizer } = vqvae;
    const [one, none] = [features('', [7, 4]), features('uncond_', [2])];
    const rows = (part: 'states' | 'mask' | 'pooled'): Tensor => concat([one[part], none[part], none[part]], 0);
    const text = { states: rows('states'), mask: rows('mask'), pooled: rows('pooled') };
    const cache = star.startCache(text);
    const likeliest = (logits_BlV: Tensor): Tensor =>
      reshape(drawTokens(rowsOfTokens(logits_BlV), { topK: 1, seed: 0 }), logits_BlV.shape.slice(0, 2));
    let next: Tensor | undefined;
    let sum: Tensor | undefined;
    for (const [scale, side] of sides.entries()) {
      const l = side * side;
      const scores = publishedScores(version, l, 5 * (scale - 2));
      const { logits_BlV, features_BlC } = star.step(cache, scale, next ? { input_BlZ: concat([next, next], 0) } : {});
      const main = (): Tensor => guide(logits_BlV, 2, 4 * scaleRatio(scale, 4));
      const state = star.refiner!.begin(scale, { features_BlC, pooled_BD: text.pooled });
      const heads: StableHeads = {
        main,
        refined: (codes) => guide(star.refiner!.logits(star.refiner!.features(state, concat([codes, codes], 0))), 2, 4),
        draw: (logits, step) => ({ drawn_Bl: likeliest(logits), scores_Bl: tensor(scores[step]!, [2, l]) }),
        random: (step) => tensor(randomOf(5 * (scale - 2) + step, l), [2, l]),
      };
      const codebook_VZ = quantizer.codebook;
      const indices_Bl =
        scale < 2
          ? likeliest(main())
          : drawStable(heads, full([2, l], 64, { dtype: 'u32' }), {
              codebook_VZ,
              scale,
              version,
              steps: publishedSteps(scale),
            });
      expect([...(await valuesOf(indices_Bl))], `scale ${scale}`).toEqual([
        ...numbers.get(`${name}.idx.${scale}`)!.values,
      ]);
      const after = quantizer.nextInput(scale, embedding(codebook_VZ, indices_Bl), sum);
      [sum, next] = [after.sum_BhwZ, after.next_BlZ];
    }
    // 5e-5 is the bound for outputs of networks.
    await expectClose(permute(sum!, [0, 3, 1, 2]), numbers.get(`${name}.fhat`)!.values, 5e-5);
  });
});

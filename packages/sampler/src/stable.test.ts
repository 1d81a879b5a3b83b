import { beforeAll, describe, expect, it } from 'vitest';
import {
  concat,
  drawTokens,
  embedding,
  type HostTensor,
  hostTensor,
  permute,
  reshape,
  type Tensor,
  tensor,
} from '@star-webgpu/tensor-webgpu';
import {
  expectClose,
  hashed,
  hashedValues,
  loadGolden,
  loadGoldenJson,
  testDevice,
  valuesOf,
} from '@star-webgpu/tensor-webgpu/testing';
import { Star, starConfig } from '@star-webgpu/star-transformer';
import { Vqvae, vqvaeConfig } from '@star-webgpu/vqvae';
import { rowsOfTokens } from './filter.ts';
import { guidanceStrength, guide } from './guidance.ts';
import { drawStable, publishedSteps, type StableHeads } from './stable.ts';
import { torchTopK } from './testing/torch-top-k.ts';
import { tokenCounts } from './token-counts.ts';

beforeAll(() => testDevice());

describe('stable sampling', () => {
  const sides = [1, 2, 4, 8];
  const shared = { patchNumbers: sides, codeWidth: 8, codebookSize: 64 };

  async function hashedWeights(file: string): Promise<Map<string, HostTensor>> {
    const { seed_name, tensors } = await loadGoldenJson<{
      seed_name: string;
      tensors: [name: string, shape: number[], scale: number, offset: number][];
    }>(new URL(`../test/golden/${file}`, import.meta.url));
    return new Map(
      tensors.map(([name, shape, scale, offset]) => {
        const count = shape.reduce((product, side) => product * side, 1);
        return [name, hostTensor(hashedValues(seed_name.replace('{name}', name), count, scale, offset), shape)];
      }),
    );
  }

  /** Text of both prompts, then of the empty prompt for each. */
  function features(): { states: Tensor; mask: Tensor; pooled: Tensor } {
    const lengths = [7, 4, 2, 2];
    const twice = (x: Tensor): Tensor[] => (x.shape[0] === 1 ? [x, x] : [x]);
    return {
      states: concat([hashed('text', [2, 7, 32]), ...twice(hashed('uncond_text', [1, 7, 32]))], 0),
      mask: tensor(
        lengths.flatMap((length) => Array.from({ length: 7 }, (_, t) => Number(t < length))),
        [4, 7],
        { dtype: 'u32' },
      ),
      pooled: concat([hashed('pool', [2, 32], 0.5), ...twice(hashed('uncond_pool', [1, 32], 0.5))], 0),
    };
  }

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
    const numbers = await loadGolden(new URL('../test/golden/refine.safetensors', import.meta.url));
    const star = new Star(
      starConfig({ ...shared, depth: 3, width: 128, heads: 2, textWidth: 32, refiner: { depth: 3, sampleFrom: 2 } }),
    ).load(await hashedWeights('star_manifest.json'));
    const { quantizer } = new Vqvae(
      vqvaeConfig({ ...shared, channels: 8, channelMultipliers: [1, 1], residualBlocks: 1, normGroups: 4 }),
    );
    quantizer.load(await hashedWeights('star_quantizer_manifest.json'));
    const text = features();
    const cache = star.startCache(text);
    const likeliest = (logits_BlV: Tensor): Tensor =>
      reshape(drawTokens(rowsOfTokens(logits_BlV), { topK: 1, seed: 0 }), logits_BlV.shape.slice(0, 2));
    let next: Tensor | undefined;
    let sum: Tensor | undefined;
    for (const [scale, side] of sides.entries()) {
      const l = side * side;
      const scores = publishedScores(version, l, 5 * (scale - 2));
      const { logits_BlV, features_BlC } = star.step(cache, scale, next && concat([next, next], 0));
      const main = (): Tensor => guide(logits_BlV, 2, guidanceStrength(4, scale, 4));
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
          : drawStable(heads, [2, l], { codebook_VZ, scale, version, steps: publishedSteps(scale) });
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

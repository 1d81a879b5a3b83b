import { hostRandom } from '@star-webgpu/tensor-webgpu';
import { patchNumberPresets, tokenOffsets } from '@star-webgpu/vqvae/scales';
import { describe, expect, it } from 'vitest';
import { trainedScales } from './progressive.ts';
import { ofTokens, trainedTokens } from './trained-tokens.ts';

describe('trainedScales', () => {
  it('follows the published rule step by step, its weights too', () => {
    const [from, begin, end, warmup, scales] = [4, 7, 54, 3, 10];
    // the published loop, with its counters: steps since the finest scale changed, none while the first stage lasts
    let [lastScale, since, first] = [-1, 0, true];
    for (let step = 0; step < 70; step++) {
      const progress = Math.min(Math.max((step - begin) / (end - begin), 0), 1);
      const grown = from + Math.round(progress * (scales - 1 - from));
      const scale = step <= begin ? from : step >= end ? scales - 1 : grown;
      if (scale !== lastScale) {
        if (lastScale !== -1) first = false;
        [lastScale, since] = [scale, 0];
      }
      since++;
      const weight = first || scale === scales - 1 ? 1 : Math.max(Math.min(since / warmup, 1), 0.01);
      expect(trainedScales({ from, begin, end, warmup }, scales, step), `step ${step}`).toEqual({
        last: scale,
        weight,
      });
    }
  });

  it('rounds halves to even numbers, as Python does', () => {
    const progressive = { from: 0, begin: 0, end: 8, warmup: 0 };
    const lasts = Array.from({ length: 9 }, (_, step) => trainedScales(progressive, 5, step).last);
    // 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4
    expect(lasts).toEqual([0, 0, 1, 2, 2, 2, 3, 4, 4]);
  });

  it('gives a scale that has just been added a hundredth of its weight at least', () => {
    const progressive = { from: 1, begin: 0, end: 4000, warmup: 5000 };
    const first = Array.from({ length: 2000 }, (_, step) => trainedScales(progressive, 4, step)).find(
      ({ last }) => last === 2,
    );
    expect(first).toEqual({ last: 2, weight: 0.01 });
  });
});

describe('trainedTokens', () => {
  const offsets = tokenOffsets(patchNumberPresets['1024']);
  const at = (draw: number): { step: number; random: () => ReturnType<typeof hostRandom> } => ({
    step: draw,
    random: () => hostRandom(1, draw),
  });

  it('leaves 651 of the 4096 last tokens out at 1024 px, others each time, and none of a coarser scale', () => {
    const tokens = [0, 1].map((draw) => trainedTokens({ keepTokens: 8800 }, offsets, at(draw))!);
    for (const { places, scattered } of tokens) {
      if (!places) throw new Error('expected places');
      expect(scattered).toBe(true);
      expect(places.length).toBe(8800);
      expect(places.slice(0, 5355)).toEqual(Array.from({ length: 5355 }, (_, i) => i));
      expect(new Set(places).size).toBe(8800);
      expect(places).toEqual(places.toSorted((a, b) => a - b));
      expect(places.at(-1)).toBeLessThan(9451);
    }
    expect(tokens[0]!.places).not.toEqual(tokens[1]!.places);
    expect(trainedTokens({ keepTokens: 8800 }, offsets, at(0))).toEqual(tokens[0]);
  });

  it('drops every token of the last scale about as often', () => {
    const small = tokenOffsets([1, 2, 4]);
    const counts = new Array<number>(21).fill(0);
    for (let draw = 0; draw < 2000; draw++)
      for (const place of trainedTokens({ keepTokens: 13 }, small, at(draw))!.places!) counts[place]!++;
    expect(counts.slice(0, 5)).toEqual(new Array(5).fill(2000));
    // half of 2000 each, give or take five standard deviations of a binomial
    for (const count of counts.slice(5)) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(500));
  });

  it('takes all where there are no more, and refuses to drop coarser ones', () => {
    expect(trainedTokens({ keepTokens: 9451 }, offsets, at(0))).toBeUndefined();
    expect(trainedTokens({}, offsets, at(0))).toBeUndefined();
    expect(() => trainedTokens({ keepTokens: 5355 }, offsets, at(0))).toThrow(
      'keepTokens must be more than the 5355 tokens of the coarser scales, got 5355. Only tokens of the last scale are left out.',
    );
  });

  it('weighs scales: shares by tokens and weights, of all, of what is kept, and of what has been added so far', () => {
    const small = tokenOffsets([1, 2, 4]);
    const scaleWeights = [8, 2, 0.5];
    // 8, 8 and 8 of 24
    expect(trainedTokens({ scaleWeights }, small, at(0))).toEqual({ shares: [1 / 3, 1 / 3, 1 / 3] });
    // four of the last sixteen are kept: 8, 8 and 2
    const kept = trainedTokens({ scaleWeights, keepTokens: 9 }, small, at(0))!;
    expect(kept.shares).toEqual([8 / 18, 8 / 18, 2 / 18]);
    const progressive = { from: 0, begin: 1, end: 5, warmup: 4 };
    expect(trainedTokens({ scaleWeights, progressive }, small, at(1))).toEqual({ places: [0], shares: [1 / 3] });
    const second = trainedTokens({ scaleWeights, progressive }, small, at(3))!;
    expect(second.places).toEqual([0, 1, 2, 3, 4]);
    expect(second.shares![0]).toBe(1 / 3);
    // the first of four steps that bring it to its full weight
    expect(second.shares![1]).toBeCloseTo(1 / 12, 12);
  });

  it('picks the rows of each picture: codes of the places, and inputs one row before them', () => {
    const targets_BL = { values: Uint32Array.from({ length: 10 }, (_, i) => i), shape: [2, 5] };
    const input_BlZ = { values: Float32Array.from({ length: 16 }, (_, i) => i / 2), shape: [2, 4, 2] };
    const picked = ofTokens({ targets_BL, input_BlZ }, { places: [0, 1, 4], scattered: true });
    expect(picked).toEqual({
      targets_BL: { values: Uint32Array.of(0, 1, 4, 5, 6, 9), shape: [2, 3] },
      input_BlZ: { values: Float32Array.of(0, 0.5, 3, 3.5, 4, 4.5, 7, 7.5), shape: [2, 2, 2] },
      places_l: { values: Uint32Array.of(0, 1, 4), shape: [3] },
    });
    const first = ofTokens({ targets_BL, input_BlZ }, { places: [0], shares: [0.25] });
    expect(first).toEqual({
      targets_BL: { values: Uint32Array.of(0, 5), shape: [2, 1] },
      shares_S: { values: Float32Array.of(0.25), shape: [1] },
    });
    expect(ofTokens({ targets_BL, input_BlZ }, { shares: [0.5, 0.5] })).toEqual({
      targets_BL,
      input_BlZ,
      shares_S: { values: Float32Array.of(0.5, 0.5), shape: [2] },
    });
  });
});

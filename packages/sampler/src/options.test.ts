import { describe, expect, it } from 'vitest';
import { parseSamplingDefaults, resolveOptions } from './options.ts';

const resolved = (options: Parameters<typeof resolveOptions>[0]): ReturnType<typeof resolveOptions> =>
  resolveOptions(options, 1, { patchNumbers: [1, 2, 3, 4, 5] });

describe('sampling options', () => {
  it('default to those of the published demo', () => {
    expect(resolveOptions({}, 2, { patchNumbers: [1, 2, 3] })).toEqual({
      guidance: [0, 2, 4],
      temperature: [1, 1, 1],
      topK: [600, 600, 600],
      topP: [0.8, 0.8, 0.8],
      smooth: false,
      refine: undefined,
      refinedGuidance: [4, 4, 4],
      ratio: '1:1',
      entropyTemperature: undefined,
      seeds: [42, 43],
      signal: undefined,
    });
  });

  it('guide by a ramp, evenly, by a list, and not at all from a scale on', () => {
    expect(resolved({ guidance: 8 }).guidance).toEqual([0, 2, 4, 6, 8]);
    expect(resolved({ guidance: 8, guidanceSchedule: 'constant' }).guidance).toEqual([8, 8, 8, 8, 8]);
    expect(resolved({ guidance: [1, 0, 3, 2, 5] }).guidance).toEqual([1, 0, 3, 2, 5]);
    expect(resolved({ guidance: 8, guidanceUntil: 3 }).guidance).toEqual([0, 2, 4, 0, 0]);
    expect(resolved({ guidance: [1, 2, 3, 4, 5], guidanceUntil: 0 }).guidance).toEqual([0, 0, 0, 0, 0]);
    expect(resolveOptions({ guidance: 8 }, 1, { patchNumbers: [4] }).guidance).toEqual([0]);
  });

  it('take one number for all scales or one for each', () => {
    const lists = { temperature: [1, 2, 1, 0.5, 1], topK: [0, 1, 2, 3, 4], topP: [0, 1, 0.5, 0.25, 0] };
    expect(resolved({ ...lists, entropyTemperature: true })).toMatchObject({
      ...lists,
      entropyTemperature: { amplitude: 2.5, decay: 3, floor: 0.6 },
    });
  });

  it('take the ratios that have a table', () => {
    expect(resolved({ ratio: '2:3' }).ratio).toBe('2:3');
    expect(() => resolved({ ratio: '5:1' as '1:1' })).toThrow(
      'generate: options must be in range, got ratio "5:1" instead of one of 1:1, 4:3, 3:4, 3:2, 2:3, 16:9, 9:16. Correct these options.',
    );
  });

  it('are refused with every fault at once', () => {
    const options = { guidance: -1, topK: 1.5, topP: 2, seed: [1, -2], temperature: [1, 0], smooth: true };
    expect(() =>
      resolveOptions({ ...options, entropyTemperature: { amplitude: 1, decay: 0, floor: 1 } }, 3, {
        patchNumbers: [1, 2, 3, 4, 5],
      }),
    ).toThrow(
      'generate: options must be in range, got guidance -1 instead of a number from 0, or a list of such; ' +
        'temperature [1,0] instead of a number above 0, or a list of such; ' +
        'entropyTemperature {"amplitude":1,"decay":0,"floor":1} instead of true, false or { amplitude, decay, floor } above 0; ' +
        'topK 1.5 instead of a whole number from 0, or a list of such; ' +
        'topP 2 instead of a number from 0 to 1, or a list of such; ' +
        '2 numbers of temperature instead of 5, one a scale; 2 seeds instead of 3, one a picture; ' +
        'seed -2 instead of a whole number from 0 to 2^53 - 1. Correct these options.',
    );
  });
});

describe('sampling.json', () => {
  it('may hold every option of a model, lists too', () => {
    const own = {
      guidance: [1, 2],
      guidanceSchedule: 'constant',
      guidanceUntil: 1,
      temperature: 0.9,
      topK: [5, 6],
      entropyTemperature: true,
    };
    expect(parseSamplingDefaults(JSON.stringify(own))).toEqual(own);
  });

  it('is refused with every entry that is unknown or out of range', () => {
    expect(() => parseSamplingDefaults('{ "seed": 3, "guidance": "4", "topP": [0.5, 1.5] }')).toThrow(
      'got seed in sampling.json instead of guidance, guidanceSchedule, guidanceUntil, temperature, entropyTemperature, topK, topP, smooth, refine, ratio; ' +
        'guidance "4" instead of a number from 0, or a list of such; topP [0.5,1.5] instead of a number from 0 to 1, or a list of such.',
    );
  });
});

import { describe, expect, it } from 'vitest';
import { resolveOptions } from './options.ts';

describe('sampling options', () => {
  it('default to those of the published demo', () => {
    expect(resolveOptions({}, 2)).toEqual({
      guidance: 4,
      topK: 600,
      topP: 0.8,
      smooth: false,
      seeds: [42, 43],
      signal: undefined,
    });
  });

  it('are refused with every fault at once', () => {
    expect(() => resolveOptions({ guidance: -1, topK: 1.5, topP: 2, seed: [1, -2] }, 3)).toThrow(
      'generate: options must be in range, got guidance -1 instead of a number from 0; topK 1.5 instead of a whole number from 0; ' +
        'topP 2 instead of a number from 0 to 1; 2 seeds instead of 3, one a picture; ' +
        'seed -2 instead of a whole number from 0 to 2^53 - 1. Correct these options.',
    );
  });
});

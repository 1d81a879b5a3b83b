import { loadGoldenJson } from '@star-webgpu/tensor-webgpu/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { cleanCaption } from './clean-caption.ts';

let golden: readonly (readonly [caption: string, cleaned: string])[];
beforeAll(async () => {
  golden = await loadGoldenJson(new URL('../test/golden/captions.json', import.meta.url));
});

describe('cleanCaption', () => {
  it('gives what the Python rules give for captions of every kind', () => {
    expect(golden.length).toBeGreaterThan(50);
    expect(golden.map(([caption]) => [caption, cleanCaption(caption)])).toEqual(golden);
  });
});

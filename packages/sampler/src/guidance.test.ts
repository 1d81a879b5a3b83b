import { beforeAll, describe, expect, it } from 'vitest';
import { tensor } from '@star-webgpu/tensor-webgpu';
import { expectClose, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { guidanceStrength, guide } from './guidance.ts';

beforeAll(testDevice);

describe('guidance', () => {
  it('grows linearly from 0 at the first scale to its full strength at the last', () => {
    expect([0, 1, 2].map((scale) => guidanceStrength(4, scale, 3))).toEqual([0, 2, 4]);
    expect(guidanceStrength(4, 0, 1)).toBe(0);
  });

  it('moves logits away from the unconditional ones', async () => {
    const logits = tensor([1, 2, 3, 4, 0.5, 1, 2, 5], [4, 1, 2]);
    await expectClose(guide(logits, 2, 2), [3 * 1 - 2 * 0.5, 3 * 2 - 2 * 1, 3 * 3 - 2 * 2, 3 * 4 - 2 * 5], 1e-6);
  });

  it('keeps the conditional logits, infinite ones too, where its strength is 0', async () => {
    await expectClose(guide(tensor([1, 2, 7, 8], [2, 1, 2]), 1, 0), [1, 2], 0);
    await expectClose(guide(tensor([1, 2], [1, 1, 2]), 1, 0), [1, 2], 0);
  });
});

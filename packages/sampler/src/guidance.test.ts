import { beforeAll, describe, it } from 'vitest';
import { tensor } from '@star-webgpu/tensor-webgpu';
import { expectClose, testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { guide } from './guidance.ts';

beforeAll(testDevice);

describe('guidance', () => {
  it('moves logits away from the unconditional ones', async () => {
    const logits = tensor([1, 2, 3, 4, 0.5, 1, 2, 5], [4, 1, 2]);
    const want = [3 * 1 - 2 * 0.5, 3 * 2 - 2 * 1, 3 * 3 - 2 * 2, 3 * 4 - 2 * 5];
    await expectClose(guide(logits, 2, 2), want, 1e-6);
    await expectClose(guide(logits, 2, tensor([2], [1])), want, 1e-6);
  });

  it('keeps the conditional logits, infinite ones too, where its strength is 0 or there are no others', async () => {
    await expectClose(guide(tensor([1, 2, Number.POSITIVE_INFINITY, 8], [2, 1, 2]), 1, 0), [1, 2], 0);
    await expectClose(guide(tensor([1, 2], [1, 1, 2]), 1, 3), [1, 2], 0);
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { currentDevice, tensor } from '@star-webgpu/tensor-webgpu';
import { testDevice } from '@star-webgpu/tensor-webgpu/testing';
import { pictureAt, toPictures } from './image.ts';

beforeAll(testDevice);

describe('pictures', () => {
  it('are bytes, rounded to the nearest and clamped', async () => {
    const images = tensor([-1, 0, 1, -2, 3, 0.5, 1 / 255, -1 / 255, 0.004, -0.996, 0.996, -0.5], [2, 1, 2, 3]);
    const before = currentDevice().stats().liveBuffers;
    const pictures = await toPictures(images);
    expect(pictures).toEqual({
      count: 2,
      height: 1,
      width: 2,
      data: Uint8Array.from([0, 128, 255, 0, 255, 191, 128, 127, 128, 1, 254, 64]),
    });
    expect(currentDevice().stats().liveBuffers).toBe(before);
    expect([...pictureAt(pictures, 1).data]).toEqual([128, 127, 128, 1, 254, 64]);
  });

  it('refuse an index beyond their count', () => {
    const pictures = { count: 1, height: 1, width: 1, data: new Uint8Array(3) };
    expect(() => pictureAt(pictures, 1)).toThrow('pictureAt: index must lie in 0..0, got 1.');
  });
});

import { describe, expect, it } from 'vitest';
import { nearestSize, sortIntoBuckets, type PictureSize } from './buckets.ts';

const size = (width: number, height: number): PictureSize => ({ height, width });
const sizes = [size(64, 64), size(72, 56), size(56, 72), size(88, 48)];

describe('nearestSize', () => {
  it.each([
    [size(100, 100), 0],
    [size(640, 480), 1],
    [size(3, 4), 2],
    [size(1920, 1080), 3],
    [size(4000, 100), 3],
    [size(1, 9), 2],
  ])('%o goes to the size of the nearest ratio, whatever its own', (picture, index) => {
    expect(nearestSize(picture, sizes)).toBe(index);
  });

  it('takes the first of two that are equally near', () => {
    expect(nearestSize(size(1, 1), [size(2, 1), size(1, 2)])).toBe(0);
  });
});

it('sortIntoBuckets keeps the order of the pictures inside a bucket, and empty buckets', () => {
  const pictures = [size(9, 7), size(5, 5), size(90, 71), size(6, 5)];
  expect(sortIntoBuckets(pictures, sizes).map(({ members }) => members)).toEqual([[1], [0, 2, 3], [], []]);
});

import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, gradcheck, hashed, loadGolden, testDevice, type GoldenTensor } from '../testing/index.ts';
import { resizeArea, resizeBicubic, upsampleNearest } from './resize.ts';
import { permute } from './view.ts';

beforeAll(testDevice);

describe('resizes', () => {
  it('equal the published numbers', async () => {
    const golden = await loadGolden(new URL('../../test/golden/interpolate.safetensors', import.meta.url));
    expect(golden.size).toBeGreaterThan(4);
    for (const [name, { values }] of golden as Map<string, GoldenTensor>) {
      const [kind, from, to] = name.split('.') as [string, string, string];
      const x = permute(hashed(`interp/${from}`, [2, 3, Number(from), Number(from)]), [0, 2, 3, 1]);
      const y = (kind === 'area' ? resizeArea : resizeBicubic)(x, [Number(to), Number(to)]);
      await expectClose(permute(y, [0, 3, 1, 2]), values, 1e-5);
    }
  });

  it('have numerical gradients for sides that differ', async () => {
    const x = hashed('x', [2, 5, 3, 4]);
    await gradcheck((p) => resizeArea(p!, [3, 2]), [x]);
    await gradcheck((p) => resizeBicubic(p!, [7, 8]), [x]);
    await gradcheck((p) => resizeBicubic(p!, [1, 3]), [x]);
  });

  it('upsampleNearest repeats pixels, with gradients', async () => {
    const x = hashed('x', [2, 3, 1, 4]);
    const values = await x.data();
    const y = upsampleNearest(x, 2);
    expect(y.shape).toEqual([2, 6, 2, 4]);
    await expectClose(
      y,
      Array.from({ length: 96 }, (_, i) => values[(Math.floor(i / 48) * 3 + Math.floor((i % 48) / 16)) * 4 + (i % 4)]!),
      0,
    );
    await gradcheck((p) => upsampleNearest(p!, 3), [x]);
  });
});

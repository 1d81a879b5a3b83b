import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, gradcheck, hashed, loadGolden, testDevice, type GoldenTensor } from '../testing/index.ts';
import { resizeArea, resizeBicubic, resizeBilinear, upsampleNearest } from './resize.ts';
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

  it('resizeBilinear equals the definition, larger and smaller', async () => {
    const [H, W, C] = [5, 3, 2];
    const x = hashed('x', [1, H, W, C]);
    const values = await x.data();
    const sample = (y: number, z: number, c: number): number => {
      const [top, left] = [Math.floor(y), Math.floor(z)];
      const [down, right] = [Math.min(H - 1, top + 1), Math.min(W - 1, left + 1)];
      const pixel = (row: number, column: number): number => values[(row * W + column) * C + c]!;
      const line = (row: number): number => pixel(row, left) * (1 - z + left) + pixel(row, right) * (z - left);
      return line(top) * (1 - y + top) + line(down) * (y - top);
    };
    for (const [h, w] of [
      [8, 7],
      [2, 3],
      [1, 1],
    ] as const) {
      const centre = (i: number, from: number, to: number): number => Math.max(0, ((i + 0.5) * from) / to - 0.5);
      const wanted = Array.from({ length: h * w * C }, (_, flat) => {
        const [row, column] = [Math.floor(flat / (w * C)), Math.floor(flat / C) % w];
        return sample(centre(row, H, h), Math.min(W - 1, centre(column, W, w)), flat % C);
      });
      await expectClose(resizeBilinear(x, [h, w]), wanted, 1e-5);
    }
  });

  it('have numerical gradients for sides that differ', async () => {
    const x = hashed('x', [2, 5, 3, 4]);
    await gradcheck((p) => resizeArea(p!, [3, 2]), [x]);
    await gradcheck((p) => resizeBicubic(p!, [7, 8]), [x]);
    await gradcheck((p) => resizeBicubic(p!, [1, 3]), [x]);
    await gradcheck((p) => resizeBilinear(p!, [7, 2]), [x]);
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

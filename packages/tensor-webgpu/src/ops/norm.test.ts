import { beforeAll, describe, it } from 'vitest';
import { describeVariants, expectClose, gradcheck, hashed, hashedValues, testDevice } from '../testing/index.ts';
import { mul } from './elementwise.ts';
import { l2Normalize, layerNorm, rmsNorm } from './norm.ts';
import { rope } from './rope.ts';
import { permute } from './view.ts';
import { tensor } from '../tensor.ts';

beforeAll(testDevice);

const rows = (values: Float32Array, C: number): number[][] =>
  Array.from({ length: values.length / C }, (_, r) => [...values.subarray(r * C, (r + 1) * C)]);
const total = (values: number[]): number => values.reduce((s, v) => s + v, 0);

const widths = [4, 7, 12, 192, 1028];

describeVariants('rows', () => {
  it.each(widths)('layerNorm of %i equals its formula, with and without affine, with gradients', async (C) => {
    const x = hashed('x', [3, 5, C], 2, 0.5);
    const want = rows(hashedValues('x', 15 * C, 2, 0.5), C).flatMap((row) => {
      const mean = total(row) / C;
      const deviation = Math.sqrt(total(row.map((v) => (v - mean) ** 2)) / C + 1e-6);
      return row.map((v) => (v - mean) / deviation);
    });
    await expectClose(layerNorm(x, { eps: 1e-6 }), want, 1e-5);
    await gradcheck((p) => layerNorm(p!, { eps: 1e-6 }), [x]);
    await gradcheck(
      (p, weight, bias) => layerNorm(permute(p!, [1, 0, 2]), { eps: 1e-6, weight: weight!, bias: bias! }),
      [x, hashed('w', [C], 1, 1), hashed('b', [C])],
    );
  });

  it.each(widths)('rmsNorm of %i equals its formula, with and without scale, with gradients', async (C) => {
    const x = hashed('x', [3, 5, C], 2, 0.5);
    const want = rows(hashedValues('x', 15 * C, 2, 0.5), C).flatMap((row) => {
      const root = Math.sqrt(total(row.map((v) => v * v)) / C + 1e-6);
      return row.map((v) => v / root);
    });
    await expectClose(rmsNorm(x, { eps: 1e-6 }), want, 1e-5);
    const weights = hashedValues('w', C, 1, 1);
    const scaled = want.map((value, i) => value * weights[i % C]!);
    await expectClose(rmsNorm(x, { eps: 1e-6, weight: hashed('w', [C], 1, 1) }), scaled, 1e-5);
    await gradcheck(
      (p, weight) => rmsNorm(permute(p!, [1, 0, 2]), { eps: 1e-6, weight: weight! }),
      [x, hashed('w', [C], 1, 1)],
    );
    await expectClose(rmsNorm(mul(x, 0), { eps: 1e-6 }), new Array<number>(15 * C).fill(0), 0);
  });

  it.each(widths)('l2Normalize of %i equals its formula, with gradients, and keeps zeros', async (C) => {
    const x = hashed('x', [6, C]);
    const want = rows(hashedValues('x', 6 * C), C).flatMap((row) =>
      row.map((v) => v / Math.sqrt(total(row.map((w) => w * w)))),
    );
    await expectClose(l2Normalize(x), want, 1e-5);
    await gradcheck((p) => l2Normalize(p!), [x]);
    await expectClose(l2Normalize(mul(x, 0)), new Array<number>(6 * C).fill(0), 0);
  });
});

describe('rope', () => {
  it('turns neighbouring pairs by the angles of their position, with gradients', async () => {
    const [B, L, N, d] = [2, 5, 3, 8];
    const angles = hashedValues('angles', L * (d / 2), 3);
    const table = tensor(
      Array.from(angles).flatMap((a) => [Math.cos(a), Math.sin(a)]),
      [L, d / 2, 2],
    );
    const x = hashedValues('x', B * L * N * d);
    const want = Array.from(x, (_, flat) => {
      const [pair, position] = [Math.floor((flat % d) / 2), Math.floor(flat / (N * d)) % L];
      const angle = angles[position * (d / 2) + pair]!;
      const [even, odd] = [x[flat - (flat % 2)]!, x[flat - (flat % 2) + 1]!];
      return flat % 2 ? even * Math.sin(angle) + odd * Math.cos(angle) : even * Math.cos(angle) - odd * Math.sin(angle);
    });
    await expectClose(rope(tensor(x, [B, L, N, d]), table), want, 1e-5);
    await gradcheck((p) => rope(p!, table), [tensor(x, [B, L, N, d])]);
  });
});

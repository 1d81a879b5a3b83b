import { expect, it } from 'vitest';
import { backward } from '../autograd/backward.ts';
import { type Tensor, tensor } from '../tensor.ts';
import { describeVariants, expectClose, gradcheck, hashed, hashedValues } from '../testing/index.ts';
import { add, exp, minimum, mul } from './elementwise.ts';
import { keyValueHeads, queryHeads, queryKeyValueHeads } from './heads.ts';
import { l2Normalize } from './norm.ts';
import { sum } from './reduce.ts';
import { rope } from './rope.ts';
import { concat, reshape, slice } from './view.ts';

/** Rotations by hashed angles: [L, d/2, 2]. */
const turns = (L: number, d: number): Tensor =>
  tensor(
    Array.from(hashedValues('angles', (L * d) / 2, 3)).flatMap((a) => [Math.cos(a), Math.sin(a)]),
    [L, d / 2, 2],
  );

interface Given {
  readonly heads: number;
  readonly table: Tensor;
}

/** The same by the ops that the fused one replaces. */
function composed([x, scale, queryBias, valueBias]: readonly Tensor[], { heads, table }: Given): Tensor[] {
  const [B, L, width] = x!.shape as [number, number, number];
  const C = width / 3;
  const part = (i: number): Tensor => slice(x!, 2, i * C, (i + 1) * C);
  const cut = (y: Tensor): Tensor => reshape(y, [B, L, heads, C / heads]);
  const factor = reshape(exp(minimum(scale!, Math.log(100))), [heads, 1]);
  return [
    mul(l2Normalize(rope(cut(add(part(0), queryBias!)), table)), factor),
    l2Normalize(rope(cut(part(1)), table)),
    cut(add(part(2), valueBias!)),
  ];
}

const fused = ([x, scale, queryBias, valueBias]: readonly Tensor[], { heads, table }: Given): Tensor[] => {
  const options = { heads, rope: table, scale: scale!, queryBias: queryBias!, valueBias: valueBias! };
  const { query, key, value } = queryKeyValueHeads(x!, options);
  return [query, key, value];
};

/** One scale lies above the limit, so that its gradient is zero. */
const scales = (heads: number): Tensor =>
  tensor(
    Array.from({ length: heads }, (_, h) => (h === 1 ? 5 : 0.5 + 0.25 * h)),
    [1, heads, 1, 1],
  );

const inputsOf = (B: number, L: number, heads: number, d: number): Tensor[] => [
  hashed('x', [B, L, 3 * heads * d]),
  scales(heads),
  hashed('q', [heads * d]),
  hashed('v', [heads * d]),
];

const sides = [
  [1, 1, 1, 4],
  [2, 7, 3, 8],
  [3, 45, 2, 12],
  [2, 61, 4, 64],
] as const;

describeVariants('queryKeyValueHeads', () => {
  it.each(sides)(
    'equals slice, add, rope, normalise and multiply: B %i, L %i, heads %i, d %i',
    async (B, L, heads, d) => {
      const given = { heads, table: turns(L, d) };
      const inputs = inputsOf(B, L, heads, d);
      for (const input of inputs) input.requiresGrad = true;
      const [got, want] = [fused(inputs, given), composed(inputs, given)];
      for (const [i, y] of got.entries()) await expectClose(y, want[i]!, 1e-6);
      const weights = hashed('w', [3, B, L, heads, d]);
      const project = (all: Tensor[]): Tensor[] =>
        backward(
          sum(
            mul(
              weights,
              concat(
                all.map((y) => reshape(y, [1, ...y.shape])),
                0,
              ),
            ),
          ),
          inputs,
        );
      const [gradients, wanted] = [project(got), project(want)];
      // sums over rows are taken in another order
      for (const [i, gradient] of gradients.entries()) await expectClose(gradient, wanted[i]!, 5e-6);
    },
  );

  it('has the gradients of central differences, wherever its outputs are used', async () => {
    const given = { heads: 3, table: turns(5, 8) };
    const inputs = inputsOf(2, 5, 3, 8);
    await gradcheck((...all) => concat(fused(all, given), 1), inputs);
    await gradcheck((...all) => fused(all, given)[1]!, inputs);
  });

  it('splits queries, and keys and values, on their own', async () => {
    const [B, L, heads, d] = [2, 9, 2, 16];
    const table = turns(L, d);
    const [x, scale, queryBias, valueBias] = inputsOf(B, L, heads, d) as [Tensor, Tensor, Tensor, Tensor];
    const C = heads * d;
    const [query, key, value] = composed([x, scale, queryBias, valueBias], { heads, table });
    await expectClose(queryHeads(slice(x, 2, 0, C), { heads, rope: table, scale, queryBias }), query!, 1e-6);
    const both = keyValueHeads(slice(x, 2, C, 3 * C), { heads, rope: table, valueBias });
    await expectClose(both.key, key!, 1e-6);
    await expectClose(both.value, value!, 1e-6);
    await gradcheck(
      (p, s, b) => queryHeads(p!, { heads, scale: s!, queryBias: b! }),
      [hashed('p', [B, L, C]), scale, queryBias],
    );
    await gradcheck(
      (p, b) => {
        const parts = keyValueHeads(p!, { heads, valueBias: b! });
        return concat([parts.key, parts.value], 1);
      },
      [hashed('p', [B, L, 2 * C]), valueBias],
    );
  });

  it('keeps rows of zeros at zero', async () => {
    const options = { heads: 1, scale: tensor([0], [1]), queryBias: tensor([0, 0, 0, 0], [4]) };
    await expectClose(queryHeads(tensor([0, 0, 0, 0], [1, 1, 4]), options), [0, 0, 0, 0], 0);
  });

  it('refuses a width that heads do not divide, and biases and tables that do not fit', () => {
    const [x, scale, queryBias, valueBias] = inputsOf(1, 2, 2, 8) as [Tensor, Tensor, Tensor, Tensor];
    expect(() => queryHeads(x, { heads: 5, scale, queryBias })).toThrow(
      'queryHeads: input must be [B, L, 1 x 5 heads x d] with d a multiple of 4, got [1,2,48].',
    );
    expect(() => keyValueHeads(x, { heads: 2, valueBias })).toThrow('keyValueHeads: valueBias must be [24], got [16].');
    expect(() => queryKeyValueHeads(x, { heads: 2, scale, queryBias, valueBias, rope: turns(3, 8) })).toThrow(
      'queryKeyValueHeads: rope must be [2,4,2], got [3,4,2].',
    );
    expect(() => queryKeyValueHeads(x, { heads: 2, scale: queryBias, queryBias, valueBias })).toThrow(
      'queryKeyValueHeads: scale must have 2 elements, got [16].',
    );
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { plan } from '../device/plan.ts';
import { hostRandom } from '../nn/host-random.ts';
import { assign, type Tensor, tensor } from '../tensor.ts';
import { expectClose, gradcheck, hashed, hashedValues, loadGolden, testDevice, valuesOf } from '../testing/index.ts';
import { categorical, drawTokens, drawWithConfidence, filterLogits, type FilterOptions, topK } from './select.ts';
import { softmax } from './softmax.ts';
import { reshape } from './view.ts';

beforeAll(testDevice);

/** Softmax of a row in float64. */
function probabilities(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const weights = row.map((value) => Math.exp(value - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Which elements of a row are kept, by sorting; ascending, equal ones by index. */
function reference(row: readonly number[], { topK: k = 0, topP = 0 }: FilterOptions): boolean[] {
  const order = row.map((_, i) => i).sort((a, b) => row[a]! - row[b]! || a - b);
  const bound = k > 0 && k < row.length ? row[order.at(-k)!]! : Number.NEGATIVE_INFINITY;
  const kept = row.map((value) => value >= bound);
  if (topP === 0) return kept;
  const share = probabilities(row.map((value, i) => (kept[i] ? value : Number.NEGATIVE_INFINITY)));
  let sum = 0;
  for (const i of order.slice(0, -1)) {
    sum += share[i]!;
    if (sum <= 1 - topP + 1e-7) kept[i] = false;
  }
  return kept;
}

async function expectFiltered(rows: readonly (readonly number[])[], options: FilterOptions): Promise<void> {
  const got = await valuesOf(filterLogits(tensor(rows.flat(), [rows.length, rows[0]!.length]), options));
  const want = rows.flatMap((row) => {
    const kept = reference(row, options);
    return row.map((value, i) => (kept[i] ? Math.fround(value) : Number.NEGATIVE_INFINITY));
  });
  expect([...got]).toEqual(want);
}

const rowsOf = (name: string, R: number, V: number, scale: number): number[][] => {
  const values = hashedValues(name, R * V, scale);
  return Array.from({ length: R }, (_, r) => [...values.subarray(r * V, r * V + V)]);
};

describe('filterLogits', () => {
  it('equals the published filters', async () => {
    const golden = await loadGolden(new URL('../../test/golden/topk_topp.safetensors', import.meta.url));
    const logits = reshape(hashed('sample_logits', [1, 3, 50], 4), [3, 50]);
    for (const [name, { values }] of golden) {
      const [, k, p] = /^k(.*)\.p(.*\..*)$/.exec(name)!;
      const got = await valuesOf(softmax(filterLogits(logits, { topK: Number(k), topP: Number(p) })));
      expect([...got].map((value) => value > 0)).toEqual([...values].map((value) => value > 0));
      await expectClose(got, values, 1e-6);
    }
  });

  it.each([
    [{ topK: 1 }],
    [{ topK: 3 }],
    [{ topK: 7 }],
    [{ topK: 9, topP: 1 }],
    [{ topP: 0.5 }],
    [{ topP: 0.01 }],
    [{ topK: 4, topP: 0.9 }],
  ])('keeps what sorting would, 7 classes, %o', async (options) => {
    await expectFiltered(rowsOf('seven', 9, 7, 3), options);
  });

  it.each([[{ topK: 600, topP: 0.8 }], [{ topK: 4096, topP: 0.95 }], [{ topK: 1 }], [{}]])(
    'keeps what sorting would, 4096 classes, %o',
    async (options) => {
      await expectFiltered(rowsOf('many', 3, 4096, 8), options);
    },
  );

  it('keeps ties of the k-th, and drops ties of the smallest by index', async () => {
    await expectFiltered([[1, 2, 2, 2, 0, -0, 3]], { topK: 2 });
    await expectFiltered([[0, -0, 0, -0, 0]], { topP: 0.55 });
    await expectFiltered([[5, 5, 5, 5]], { topK: 1, topP: 0.25 });
  });

  it('never drops the largest, and takes logits of -infinity as absent', async () => {
    const none = Number.NEGATIVE_INFINITY;
    await expectFiltered([[none, 4, none, 3.5, none]], { topP: 1e-6 });
    await expectFiltered([[none, 4, none, 3.5, none]], { topK: 3, topP: 0.99 });
    await expectFiltered([[-1e30, -2e30, -3e30]], { topK: 2, topP: 0.5 });
  });

  it('refuses shares beyond 1 and fractions of a class', () => {
    expect(() => filterLogits(hashed('x', [1, 3]), { topP: 1.1 })).toThrow(
      'filterLogits: topP must lie in 0..1, got 1.1.',
    );
    expect(() => filterLogits(hashed('x', [1, 3]), { topK: 0.5 })).toThrow(
      'filterLogits: topK must be a whole number from 0, got 0.5.',
    );
  });
});

/** The class at which the cumulative distribution passes a uniform number. */
function inverse(row: readonly number[], kept: readonly boolean[], part: number): number {
  const share = probabilities(row.map((value, i) => (kept[i] ? value : Number.NEGATIVE_INFINITY)));
  let sum = 0;
  return share.findIndex((value) => (sum += value) > part);
}

describe('drawTokens', () => {
  it.each([
    [7, {}],
    [7, { topK: 3, topP: 0.7 }],
    [64, { topK: 20, topP: 0.8 }],
    [1025, { topP: 0.5 }],
  ])(
    'draws by the inverse cumulative distribution with the numbers of the host, %i classes, %o',
    async (V, options) => {
      const rows = rowsOf('draw', 33, V, 2);
      const random = hostRandom(5, 7);
      const numbers = Array.from({ length: 35 }, () => random.uniform()).slice(2);
      const want = rows.map((row, r) => inverse(row, reference(row, options), numbers[r]!));
      const got = drawTokens(tensor(rows.flat(), [33, V]), { ...options, seed: 5, stream: 7, offset: 2 });
      await expectClose(got, want, 0);
    },
  );

  it('gives each picture of a batch the draws of its own seed', async () => {
    const draw = (seed: number | number[], copies: number): Tensor =>
      drawTokens(
        tensor(Array.from({ length: copies }, () => rowsOf('batch', 5, 64, 1).flat()).flat(), [5 * copies, 64]),
        {
          seed,
          topK: 30,
        },
      );
    const singles = await Promise.all([1, 2, 3].map(async (seed) => [...(await valuesOf(draw(seed, 1)))]));
    expect([...(await valuesOf(draw([1, 2, 3], 3)))]).toEqual(singles.flat());
    expect(new Set(singles.map(String)).size).toBe(3);
  });

  it('divides logits by the temperature', async () => {
    const rows = rowsOf('warm', 17, 9, 2);
    const draw = (logits: readonly number[], temperature: number): Tensor =>
      drawTokens(tensor(logits, [17, 9]), { seed: 1, temperature });
    await expectClose(
      draw(rows.flat(), 2),
      draw(
        rows.flat().map((value) => value / 2),
        1,
      ),
      0,
    );
  });

  it.each([
    [7, { topK: 3, topP: 0.7, temperature: 0.5 }],
    [1025, { topK: 20, topP: 0, temperature: 2 }],
    [64, { topK: 0, topP: 0.4, temperature: 1.5 }],
    [64, { topK: 0, topP: 0, temperature: 1 }],
  ])('takes k, p and temperature from the device as from the host, %i classes, %o', async (V, options) => {
    const logits = tensor(rowsOf('given', 33, V, 3).flat(), [33, V]);
    const values = tensor([options.topK, options.topP, options.temperature], [3]);
    const given = { values, topK: true, topP: true };
    await expectClose(drawTokens(logits, { ...given, seed: 3 }), drawTokens(logits, { ...options, seed: 3 }), 0);
    expect(await valuesOf(filterLogits(logits, given))).toEqual(await valuesOf(filterLogits(logits, options)));
  });

  it('draws anew by other values of the same tensor in a plan', async () => {
    const logits = tensor(rowsOf('planned', 9, 64, 3).flat(), [9, 64]).keep();
    const values = tensor([1, 0.8, 1], [3]).keep();
    const planned = plan(() => drawTokens(logits, { values, topK: true, topP: true, seed: 8 }));
    for (const [topK, topP, temperature] of [
      [1, 0.8, 1],
      [20, 0.9, 3],
    ] as const) {
      assign(values, [topK, topP, temperature]);
      planned.run();
      await expectClose(planned.result, drawTokens(logits, { topK, topP, temperature, seed: 8 }), 0);
    }
    planned.dispose();
  });

  it('refuses values of another shape', () => {
    const values = tensor([1, 0], [2]);
    expect(() => drawTokens(hashed('x', [1, 3]), { values, topK: true, topP: true, seed: 1 })).toThrow(
      'drawTokens: values must be packed f32 [3], got f32 [2].',
    );
  });

  it('follows the distribution', async () => {
    const count = 20_000;
    const row = [0, 1, 2, Number.NEGATIVE_INFINITY, 0.5];
    const drawn = await valuesOf(
      categorical(tensor(Array.from({ length: count }, () => row).flat(), [count, row.length]), { seed: 4 }),
    );
    const share = row.map((_, i) => drawn.filter((index) => index === i).length / count);
    // Four standard errors of a share of 20,000 draws.
    probabilities(row).forEach((p, i) =>
      expect(Math.abs(share[i]! - p)).toBeLessThanOrEqual(4 * Math.sqrt((p * (1 - p)) / count)),
    );
  });

  it('says how probable each draw was among what the filters left', async () => {
    const [R, V] = [40, 37];
    const rows = rowsOf('sure', R, V, 3);
    const logits = tensor(rows.flat(), [R, V]);
    const options = { topK: 9, topP: 0.7, temperature: 1.5, seed: 4 };
    const { indices, confidence } = drawWithConfidence(logits, options);
    const drawn = await valuesOf(indices);
    expect([...drawn]).toEqual([...(await valuesOf(drawTokens(logits, options)))]);
    const kept = await valuesOf(filterLogits(logits, options));
    const wanted = rows.map((_, r) => {
      const weights = [...kept.subarray(r * V, r * V + V)].map((value) => Math.exp(value / 1.5));
      return weights[drawn[r]!]! / weights.reduce((sum, weight) => sum + weight, 0);
    });
    await expectClose(confidence, wanted, 1e-5);
    // Exactly 1 where one is left: equally sure draws are a tie.
    const best = await valuesOf(drawWithConfidence(logits, { topK: 1, seed: 4 }).confidence);
    expect(new Set(best)).toEqual(new Set([1]));
  });

  it('refuses a temperature of 0', () => {
    expect(() => drawTokens(hashed('x', [1, 3]), { seed: 1, temperature: 0 })).toThrow(
      'drawTokens: temperature must be above 0, got 0. For the likeliest use topK 1.',
    );
  });
});

describe('topK', () => {
  it.each([
    [1, 1],
    [7, 3],
    [64, 64],
  ])('sorts the largest of %i: %i', async (C, k) => {
    const rows = rowsOf('top', 5, C, 1);
    const { values, indices } = topK(tensor(rows.flat(), [5, C]), k);
    const order = rows.map((row) =>
      row
        .map((_, i) => i)
        .sort((a, b) => row[b]! - row[a]! || a - b)
        .slice(0, k),
    );
    await expectClose(indices, order.flat(), 0);
    await expectClose(
      values,
      order.flatMap((places, r) => places.map((i) => rows[r]![i]!)),
      0,
    );
  });

  it('takes the lower index first on a tie', async () => {
    await expectClose(topK(tensor([2, 3, 3, -0, 0], [5]), 5).indices, [1, 2, 0, 3, 4], 0);
  });

  it('sends gradients to the elements taken', async () => {
    await gradcheck((x) => topK(x!, 2).values, [hashed('x', [3, 5])]);
  });

  it('refuses more than a row has', () => {
    expect(() => topK(hashed('x', [2, 3]), 4)).toThrow('topK: k must lie in 1..3, got 4.');
  });
});

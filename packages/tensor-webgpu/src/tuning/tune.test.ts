import { beforeAll, describe, expect, it } from 'vitest';
import { currentDevice } from '../device/current.ts';
import { gemmCandidates, type GemmPlan } from '../ops/gemm-plan.ts';
import { describeHalves, testDevice } from '../testing/index.ts';
import type { TuningProblem } from './operands.ts';
import { parseTuning, tuningJson } from './table.ts';
import { tryPlan, tune, type TuningResult, tuningTable } from './tune.ts';

beforeAll(testDevice);

const problem: TuningProblem = { name: 'small', dtype: 'f32', M: 65, N: 68, K: 72 };
const plain: GemmPlan = { tile: { backend: 'plain' }, parts: 1, halves: 'packed' };

/** A tile for subgroups twice as wide as the adapter's: lanes ask for values that nobody holds. */
const wrong = (): GemmPlan => {
  const lanes = 2 * currentDevice().profile.subgroupSize;
  return { tile: { backend: 'shared', lanes, rows: 2 * lanes, columns: 4 }, parts: 1, halves: 'packed' };
};

const matrix: GemmPlan = {
  tile: {
    backend: 'matrix',
    rows: 32,
    columns: 64,
    depth: 32,
    rowsEach: 16,
    columnsEach: 32,
    m: 16,
    n: 16,
    k: 16,
    lanes: 32,
    syntax: 'subgroup_matrix',
  },
  parts: 1,
  halves: 'f16',
};

async function resultsOf(...args: Parameters<typeof tune>): Promise<TuningResult[]> {
  const results: TuningResult[] = [];
  const [device, problems, options] = args;
  await tune(device, problems, { budget: 50, ...options, onResult: (result) => results.push(result) });
  return results;
}

const picture = { inHeight: 7, inWidth: 5, outHeight: 7, outWidth: 5, channels: 8 };
const uniforms = { ...picture, kernelHeight: 3, kernelWidth: 3, stride: 1, padTop: 1, padLeft: 1 };
const problems: readonly TuningProblem[] = [
  problem,
  { ...problem, name: 'NT', transposeB: true, batch: 3 },
  { ...problem, name: 'TN in halves', transposeA: true, dtype: 'f16' },
  { name: 'forward', dtype: 'f32', M: 70, N: 8, K: 72, window: { kind: 'forward', uniforms } },
  { name: 'input', dtype: 'f32', M: 70, N: 8, K: 72, window: { kind: 'input', uniforms } },
  { name: 'weight', dtype: 'f32', M: 72, N: 8, K: 70, window: { kind: 'weight', uniforms } },
];

describeHalves('tune', () => {
  it('times right candidates of products and convolutions; its table suits the device', async () => {
    const device = currentDevice();
    const results: TuningResult[] = [];
    const table = await tune(device, problems, { budget: 50, onResult: (result) => results.push(result) });
    expect(results.map(({ name }) => name)).toEqual(problems.map(({ name }) => name));
    for (const { builtIn, builtInTime, bestTime, problem: measured, dropped } of results) {
      expect(builtIn).toEqual(gemmCandidates(measured, device)[0]!.tile);
      expect(bestTime).toBeLessThanOrEqual(builtInTime!);
      expect(bestTime).toBeGreaterThan(0);
      expect(dropped).toEqual([]);
    }
    expect(parseTuning(tuningJson(table), device)).toEqual({ table });
  });
});

describe('tune', () => {
  it('drops a candidate with a wrong result and says how wrong it is', async () => {
    const [result] = await resultsOf(currentDevice(), [problem], { candidates: () => [wrong(), plain] });
    expect(result!.dropped.map(({ tile }) => tile)).toEqual([wrong().tile]);
    expect(result!.dropped[0]!.reason).toMatch(/^its result is wrong: off by .*, allowed 0.0001$/);
    expect(result!.builtInTime).toBeUndefined();
    expect(result!.best).toEqual(plain.tile);
    await expect(tryPlan(currentDevice(), problem, wrong())).rejects.toThrow(/its result is wrong/);
    await tryPlan(currentDevice(), problem, plain);
  });

  it('lets plans on matrix units, and no others, be tried elsewhere first, and drops those that fail there', async () => {
    const tried: GemmPlan[] = [];
    const tryCandidate = async (_: TuningProblem, plan: GemmPlan): Promise<void> => {
      tried.push(plan);
      throw new Error('its process died of SIGSEGV');
    };
    const options = { candidates: () => [plain, matrix], tryCandidate };
    const [result] = await resultsOf(currentDevice(), [problem], options);
    expect(tried).toEqual([matrix]);
    expect(result!.dropped).toEqual([{ tile: matrix.tile, reason: 'its process died of SIGSEGV' }]);
  });

  it('drops a candidate that the adapter refuses, and goes on', async () => {
    const options = { candidates: () => [plain, matrix, plain], budget: 5000 };
    const [result] = await resultsOf(currentDevice(), [problem], options);
    expect(result!.dropped.map(({ reason }) => reason)).toEqual([expect.stringMatching(/subgroup_matrix/)]);
    expect(result!.best).toEqual(plain.tile);
  });

  it('leaves out what no time is left for, but tries two', async () => {
    const [result] = await resultsOf(currentDevice(), [problem], {
      candidates: () => [plain, plain, plain],
      budget: 0,
    });
    expect(result!.skipped).toEqual([plain.tile]);
  });

  it('stops on abort, with what was measured already reported', async () => {
    const controller = new AbortController();
    const results: TuningResult[] = [];
    const onResult = (result: TuningResult): void => {
      results.push(result);
      controller.abort();
    };
    const { signal } = controller;
    await expect(tune(currentDevice(), problems, { budget: 50, signal, onResult })).rejects.toThrow(/abort/i);
    expect(results.map(({ name }) => name)).toEqual(['small']);
    const table = tuningTable(currentDevice(), results);
    expect(parseTuning(tuningJson(table), currentDevice())).toEqual({ table });
  });

  it('frees its operands', async () => {
    const device = currentDevice();
    await tune(device, [problem], { budget: 10 });
    const { liveBytes } = device.stats();
    await tune(device, [problem], { budget: 10 });
    expect(device.stats().liveBytes).toBe(liveBytes);
  });
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { currentDevice } from '../device/current.ts';
import { gemmCandidates, gemmPlan, type GemmProblem, type GemmTile, useTuning } from '../ops/gemm-plan.ts';
import { matmul } from '../ops/matmul.ts';
import { expectClose, hashed, testDevice } from '../testing/index.ts';
import { problemKey } from './keys.ts';
import { readTuningFile, writeTuningFile } from './node.ts';
import { adapterKey, parseTuning, seedTuning, tuningJson, type TuningTable } from './table.ts';

beforeAll(testDevice);
afterEach(() => useTuning(currentDevice(), undefined));

const problem: GemmProblem = {
  M: 65,
  N: 68,
  K: 72,
  batch: 1,
  sourceA: 'rows',
  sourceB: 'rows',
  dtype: 'f32',
  run: 1,
};

const tableOf = (tile: GemmTile | null, changes: Partial<GemmProblem> = {}): TuningTable => ({
  adapter: adapterKey(currentDevice()),
  entries: [{ problem: { ...problem, ...changes }, tile }],
});

const reasonOf = (text: string): string => {
  const found = parseTuning(text, currentDevice());
  return 'reason' in found ? found.reason : 'none';
};

describe('a tuning table', () => {
  it('comes back from JSON as it was', () => {
    for (const tile of [...gemmCandidates(problem, currentDevice()).map((plan) => plan.tile), null]) {
      const table = tableOf(tile);
      expect(parseTuning(tuningJson(table), currentDevice())).toEqual({ table });
    }
  });

  it('replaces the same products and leaves other products and adapters in the file', () => {
    const foreign = { ...tableOf(null), adapter: 'another' };
    const first = tuningJson(tableOf({ backend: 'plain' }), tuningJson(foreign));
    const second = tuningJson(tableOf(null, { M: 7 }), first);
    const third = tuningJson(tableOf(null), second);
    const { tables } = JSON.parse(third) as { tables: TuningTable[] };
    expect(tables).toEqual([
      foreign,
      {
        adapter: adapterKey(currentDevice()),
        entries: [tableOf(null), tableOf(null, { M: 7 })].flatMap((t) => t.entries),
      },
    ]);
  });

  it('is refused with a reason where it is broken, of another version, of another adapter or impossible', () => {
    const good = tuningJson(tableOf({ backend: 'plain' }));
    expect(reasonOf(good)).toBe('none');
    expect(reasonOf(good.slice(0, -5))).toMatch(/no tuning table of version 1/);
    expect(reasonOf('[]')).toMatch(/no tuning table/);
    expect(reasonOf(good.replace('"version": 1', '"version": 2'))).toMatch(/no tuning table/);
    expect(reasonOf(good.replace('"M": 65', '"M": "65"'))).toMatch(/no tuning table/);
    expect(reasonOf(good.replace('"tile": {', '"tile": 3, "x": {'))).toMatch(/no tuning table/);
    expect(reasonOf(tuningJson({ ...tableOf(null), adapter: 'another' }))).toMatch(/no table for /);
    expect(reasonOf(good.replace('plain"\n', 'nosuch"\n'))).toMatch(/cannot run its tile for f32 rows rows 64x64x64x1/);
    const unknown = { backend: 'shared', lanes: 64, rows: 64, columns: 4 } as const;
    expect(reasonOf(tuningJson(tableOf(unknown)))).toMatch(/cannot run/);
  });

  it('is kept in a file that is written whole; a missing file is none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'star-tuning-'));
    const file = join(folder, 'deep', 'tuning.json');
    expect(await readTuningFile(file)).toBeUndefined();
    await writeTuningFile('first', file);
    await writeTuningFile('second', file);
    expect(await readTuningFile(file)).toBe('second');
    expect(await readdir(join(folder, 'deep'))).toEqual(['tuning.json']);
    await rm(folder, { recursive: true });
  });

  it('comes with the package for measured adapters only', () => {
    expect(seedTuning(currentDevice())).toBeUndefined();
  });
});

describe('problems', () => {
  it('share a tile where sides are alike, but thin ones count one by one', () => {
    const key = (changes: Partial<GemmProblem>): string => problemKey({ ...problem, ...changes });
    expect(key({ M: 60, K: 80 })).toBe(key({}));
    expect(key({ M: 200 })).not.toBe(key({}));
    expect(key({ M: 3 })).not.toBe(key({ M: 4 }));
    expect(key({ sourceB: 'columns' })).not.toBe(key({}));
    expect(key({ dtype: 'f16' })).not.toBe(key({}));
  });
});

describe('a device with a table', () => {
  it('plans by it, for problems of the same key only, until it is taken away', () => {
    const device = currentDevice();
    const builtIn = gemmPlan(problem, device);
    expect(builtIn.tile.backend).not.toBe('plain');
    useTuning(device, tableOf({ backend: 'plain' }));
    for (const M of [65, 66, 65]) expect(gemmPlan({ ...problem, M }, device).tile).toEqual({ backend: 'plain' });
    expect(gemmPlan({ ...problem, M: 300 }, device).tile.backend).toBe(builtIn.tile.backend);
    useTuning(device, tableOf(null));
    expect(gemmPlan(problem, device)).toEqual(builtIn);
    useTuning(device, undefined);
    expect(gemmPlan(problem, device)).toEqual(builtIn);
  });

  it('keeps the built-in choice for a neighbour that cannot run the tile', () => {
    const device = currentDevice();
    useTuning(device, tableOf({ backend: 'shared', lanes: 64, rows: 64, columns: 4 }));
    expect(gemmPlan(problem, device)).toEqual(gemmCandidates(problem, device)[0]);
  });

  it('runs the tuned kernel, with the same result', async () => {
    const device = currentDevice();
    const [a, b] = [hashed('a', [65, 72]), hashed('b', [72, 68])];
    const want = await matmul(a, b).data();
    useTuning(device, tableOf({ backend: 'plain' }));
    const before = device.stats().pipelines;
    // only the order of the sums differs
    await expectClose(matmul(a, b), want, 1e-5);
    expect(device.stats().pipelines).toBe(before + 1);
    if (!device.profile.timestamps) return;
    device.startProfile();
    matmul(a, b);
    const runs = await device.takeProfile();
    device.stopProfile();
    expect(runs.map(({ kernel }) => kernel)).toEqual(['gemm-plain']);
  });
});

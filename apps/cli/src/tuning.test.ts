import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runStar } from './testing/run-star.ts';

let cache: string;
let file: string;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'star-tuning-'));
  file = join(cache, 'star-webgpu', 'tuning.json');
});
afterAll(() => rm(cache, { recursive: true }));

const tile = { backend: 'shared', lanes: 64, rows: 64, columns: 4 };
const plain = { backend: 'plain' };
const problem = { name: 'small', dtype: 'f32', M: 65, N: 68, K: 72 };
/** A plan on this machine's adapter, as a child is asked to try it. */
const tryOf = (plan: object): string[] => [
  'bench',
  '--try',
  JSON.stringify({ problem, plan: { ...plan, parts: 1, halves: 'packed' } }),
];

describe('star bench --tune', () => {
  it('measures products, writes the file and says what it found', async () => {
    const args = ['bench', '--tune', '--only', '512^3 NN f32', '--json'];
    const { code, stdout, stderr } = await runStar(args, cache, { XDG_CACHE_HOME: cache });
    expect(code, stderr).toBe(0);
    const { adapter, results } = JSON.parse(stdout) as { adapter: string; results: { name: string }[] };
    expect(results.map(({ name }) => name)).toEqual(['512^3 NN f32']);
    const { tables } = JSON.parse(await readFile(file, 'utf8')) as {
      tables: { adapter: string; entries: unknown[] }[];
    };
    expect(tables.map(({ entries }) => entries.length)).toEqual([1]);
    expect(tables[0]!.adapter).toContain(adapter);
  });

  it('measures halves on an adapter that has none of its own', async () => {
    const args = ['--adapter', 'swiftshader', 'bench', '--tune', '--only', '512^3 NN f16', '--json'];
    const { code, stdout, stderr } = await runStar(args, cache, { XDG_CACHE_HOME: join(cache, 'swiftshader') });
    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout) as { results: { problem: { dtype: string }; dropped: unknown[] }[] };
    expect(results).toMatchObject([{ problem: { dtype: 'f16' }, dropped: [] }]);
  });

  it('refuses a part of a name that no product has', async () => {
    const { code, stderr } = await runStar(['bench', '--tune', '--only', 'nosuch']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: bench: --only must be part of a product's name, got "nosuch"/);
  });

  it('tries one plan in a process: the right one ends well, the impossible one fails', async () => {
    expect((await runStar(tryOf({ tile: plain }))).code).toBe(0);
    const { code, stderr } = await runStar(tryOf({ tile }));
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: /);
  });
});

describe('a tuning file', () => {
  const report = (environment: object): ReturnType<typeof runStar> =>
    runStar(['doctor'], cache, { XDG_CACHE_HOME: cache, CI: '', ...environment });

  it('that is broken is left aside with a line of why; STAR_TUNING=off and CI do not look at it', async () => {
    await mkdir(join(cache, 'star-webgpu'), { recursive: true });
    await writeFile(file, '{');
    const { code, stderr } = await report({ STAR_TUNING: '' });
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/tuning: .*tuning\.json is not used: it is no tuning table of version 1/);
    for (const environment of [{ STAR_TUNING: 'off' }, { STAR_TUNING: '', CI: 'true' }])
      expect((await report(environment)).stderr).not.toMatch(/tuning/);
  });
});

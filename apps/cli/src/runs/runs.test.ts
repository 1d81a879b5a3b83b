import { appendFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunLog } from '@star-webgpu/trainer';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runStar } from '../testing/run-star.ts';
import { chartSvg } from './chart-svg.ts';
import { chartText } from './chart-text.ts';
import { curvesOf, smoothed } from './curves.ts';
import { findRuns, readRun } from './read-run.ts';
import { configRows, listRow, metricRows } from './tables.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runs-'));
});
afterAll(() => rm(folder, { recursive: true }));

interface Written {
  readonly to: number;
  readonly scale?: number;
  readonly seed?: number;
}

/** A run of 250 steps as training logs it, evaluated each hundredth step; it is left as it was at a step. */
async function writeRun(name: string, { to, scale = 1, seed = 1 }: Written): Promise<RunLog> {
  const out = join(folder, name);
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'config.json'), JSON.stringify({ stage: 'star', seed, data: { packs: ['a'] } }));
  const log = new RunLog(out);
  for (let step = 1; step <= to; step++)
    await log.step({
      step,
      steps: 250,
      epoch: 0,
      loss: (scale * 300) / (step + 50),
      gradientNorm: 1,
      learningRate: 1e-3,
      skipped: 0,
      imagesPerSecond: 2,
      eta: 250 - step,
      metrics: { accuracy: step / 500, 'scaleLoss/1': 3 },
      ...(step % 100 === 0 && { evaluation: { loss: step === 100 ? 2 : 3 } }),
    });
  return log;
}

describe('star runs', () => {
  beforeAll(async () => {
    await (await writeRun('done', { to: 250 })).close();
    await (await writeRun('inner/going', { to: 120, scale: 2, seed: 7 })).close();
    await mkdir(join(folder, 'no run'));
    await appendFile(join(folder, 'inner/going/log.jsonl'), '\0\0\0\n{"step":121,"steps":250,"loss":1}\n{"step":12');
  });

  it('finds the runs of a folder, how far they are and how good; damaged lines are counted and passed over', async () => {
    const runs = await findRuns(folder);
    expect(runs.map(({ name, damaged }) => [name, damaged])).toEqual([
      ['done', 0],
      ['inner/going', 2],
    ]);
    const [done, going] = runs.map(listRow);
    expect(done).toMatchObject({ run: 'done', stage: 'star', steps: '250/250', state: 'finished', left: '' });
    expect(done).toMatchObject({ 'best loss': 2, 'at step': 100 });
    expect(done!['loss']).toBeCloseTo((1 + 300 / 299 + 300 / 298) / 3, 8);
    expect(going).toMatchObject({ steps: '121/250', state: 'running' });
    expect(going!['loss']).toBeCloseTo((600 / 170 + 1) / 2, 7);
    expect(done!['started']).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d$/);
  });

  it('takes a run for stopped once its process is gone', async () => {
    const out = join(folder, 'inner/going');
    const [name] = (await readdir(out)).filter((file) => file.includes('tfevents'));
    // No process has a number above the largest that Linux gives.
    const gone = name!.replace(/\.\d+\.star$/, '.99999999.star');
    await rename(join(out, name!), join(out, gone));
    expect((await readRun(out)).state).toBe('stopped');
  });

  it('of a step that was logged again takes the last, as logs of old had them', async () => {
    const out = join(folder, 'again');
    await mkdir(out);
    await writeFile(join(out, 'config.json'), '{}');
    const lines = [
      [1, 5],
      [2, 4],
      [3, 3],
      [2, 8],
    ].map(([step, loss]) => JSON.stringify({ step, steps: 9, loss }));
    await writeFile(join(out, 'log.jsonl'), `${lines.join('\n')}\n`);
    expect((await readRun(out)).series.get('loss')).toEqual({ steps: [1, 2], values: [5, 8] });
    await rm(out, { recursive: true });
  });

  it('compares configs by what differs, and metrics by where they end', async () => {
    const runs = await findRuns(folder);
    expect(configRows(runs)).toEqual([{ key: 'seed', done: '1', 'inner/going': '7' }]);
    const rows = metricRows(runs);
    expect(rows.map(({ metric }) => metric)).toEqual([
      'loss',
      'gradientNorm',
      'learningRate',
      'skipped',
      'imagesPerSecond',
      'accuracy',
      'scaleLoss/1',
      'evaluation/loss',
    ]);
    expect(rows.at(-1)).toEqual({ metric: 'evaluation/loss', done: 3, 'inner/going': 2, difference: -1 });
  });

  it('draws at most a hundred points, each a mean at its last step, without what is not finite', () => {
    const steps = Array.from({ length: 1001 }, (_, i) => i + 1);
    const points = smoothed({ steps, values: steps.map((step) => (step === 5 ? NaN : step)) });
    expect(points).toHaveLength(100);
    expect([points[0]![0], points.at(-1)![0]]).toEqual([11, 1001]);
    expect(points[0]![1]).toBeCloseTo((66 - 5) / 10, 10);
  });

  it('draws curves in their colours as SVG, one panel a metric, with a legend', async () => {
    const runs = await findRuns(folder);
    const svg = chartSvg(['loss', 'accuracy'].map((title) => ({ title, curves: curvesOf(runs, title) })));
    const { data, info } = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([744, 284]);
    const orange = (x: number, y: number): boolean => {
      const [r, g, b] = data.subarray(3 * (y * info.width + x));
      return Math.abs(r! - 0xc8) + Math.abs(g! - 0x55) + Math.abs(b! - 0x1d) < 60;
    };
    const columns = (from: number, to: number): number[] =>
      Array.from({ length: to - from }, (_, i) => from + i).filter((x) =>
        Array.from({ length: 180 }, (_, y) => y + 24).some((y) => orange(x, y)),
      );
    // Each panel is 300 pixels wide; the other curve, which ends half-way, may lie over this one.
    for (const left of [56, 428]) expect(columns(left, left + 300).length).toBeGreaterThan(100);
    expect(svg).toContain('>inner/going</text>');
  });

  it.each([
    [0.72, 1.38, ['0.8', '1', '1.2', '1.4']],
    [0.18, 0.38, ['0.2', '0.25', '0.3', '0.35']],
    [0.4, 90, ['0.1', '1', '10', '100']],
  ])('marks values from %d to %d evenly, or by powers of ten', (from, to, marks) => {
    const curve = {
      name: 'run',
      points: [
        [1, to],
        [2, from],
      ] as const,
    };
    const svg = chartSvg([{ title: 'loss', curves: [curve] }]);
    expect([...svg.matchAll(/text-anchor="end">([^<]*)</g)].map(([, label]) => label)).toEqual(marks);
  });

  it('draws curves in characters, below each other where there are no colours', async () => {
    const runs = await findRuns(folder);
    const chart = { title: 'loss', curves: curvesOf(runs, 'loss') };
    const plain = chartText(chart, { columns: 80, colored: false });
    expect(plain.match(/^loss of (done|inner\/going) *$/gm)).toHaveLength(2);
    expect(Math.max(...plain.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    const colored = chartText(chart, { columns: 120, colored: true });
    expect(colored).toContain('\u001b[33m');
    expect(colored.match(/^loss/gm)).toHaveLength(1);
  });

  it('names the metrics that there are, and says what is no run', async () => {
    const runs = await findRuns(folder);
    expect(() => curvesOf(runs, 'beauty')).toThrow(
      '--metric must be one of loss, gradientNorm, learningRate, skipped, imagesPerSecond, accuracy, scaleLoss/1, evaluation/loss for done, got beauty. Name another.',
    );
    await expect(readRun(join(folder, 'no run'))).rejects.toThrow(/no run must be the folder of a run/);
  });

  it('is a command: prints a table, says what is damaged, writes a plot', async () => {
    const list = await runStar(['runs', folder]);
    expect(list.code, list.stderr).toBe(0);
    expect(list.stdout).toMatch(/^\| run \| stage \| steps \|.*\n.*\n\| done \| star \| 250\/250 \| finished \|/);
    expect(list.stderr).toContain('inner/going/log.jsonl: 2 lines are damaged and passed over');
    const out = join(folder, 'plots/loss.svg');
    const plot = await runStar(['runs', 'plot', join(folder, 'done'), '--metric', 'loss', 'accuracy', '--out', out]);
    expect([plot.code, plot.stdout.trim()]).toEqual([0, out]);
    expect((await sharp(out).metadata()).width).toBe(744);
  });
});

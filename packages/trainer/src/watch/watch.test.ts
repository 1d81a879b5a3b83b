import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32c as independentCrc32c } from '@node-rs/crc32';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsOf, readRun } from '../testing/read-events.ts';
import type { StepReport } from '../train.ts';
import { crc32c } from './crc32c.ts';
import { histogramOf } from './histogram.ts';
import { RunLog } from './run-log.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'watch-'));
});
afterEach(() => rm(folder, { recursive: true }));

const report = (step: number, more: Partial<StepReport> = {}): StepReport => ({
  step,
  steps: 9,
  epoch: 1,
  loss: 0.1 * step,
  gradientNorm: 2,
  learningRate: 1e-3,
  skipped: 0,
  imagesPerSecond: 7.5,
  eta: 3,
  metrics: { accuracy: 0.25, 'scaleLoss/1': 4, 'scaleLoss/2': 5 },
  ...more,
});

const linesOf = async (): Promise<{ step: number; loss: number | null }[]> =>
  (await readFile(join(folder, 'log.jsonl'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { step: number; loss: number });

const stepsTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

describe('crc32c', () => {
  it('has the check value of the polynomial, and that of another implementation for any length', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    for (const length of [0, 1, 7, 1025]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 151 + 7) % 256);
      expect(crc32c(bytes)).toBe(independentCrc32c(Buffer.from(bytes)));
    }
  });
});

describe('histogramOf', () => {
  it('counts each finite value once, in a bucket that it is in', () => {
    const values = Float32Array.from([0, -1e-13, 0.5, 0.5, 0.51, -3, 1e30, NaN, Infinity]);
    const { min, max, count, sum, limits, counts } = histogramOf(values);
    expect([min, max, count]).toEqual([-3, Math.fround(1e30), 7]);
    expect(sum).toBeCloseTo(1e30, -24);
    expect(limits).toHaveLength(counts.length);
    expect(limits.length).toBeLessThan(15);
    expect(counts.reduce((total, each) => total + each, 0)).toBe(7);
    expect(limits.every((limit, i) => i === 0 || limit > limits[i - 1]!)).toBe(true);
    for (const value of [-3, 0.5]) {
      const bucket = limits.findIndex((limit) => value < limit);
      expect(counts[bucket]).toBeGreaterThan(0);
      expect(limits[bucket]! - value).toBeLessThan(0.1001 * Math.abs(value));
    }
  });

  it('of nothing, of one value and of zeros has one bucket', () => {
    for (const values of [[], [2.5], [0, 0, 0], [NaN]])
      expect(histogramOf(Float32Array.from(values)).counts).toHaveLength(1);
  });
});

describe('RunLog', () => {
  it('writes events that TensorBoard’s schema and an independent checksum read back: scalars, a picture, a histogram', async () => {
    const log = new RunLog(folder);
    await log.step(report(1));
    await log.step(report(2, { evaluation: { loss: 0.75, psnr: 21.5 }, loss: NaN }));
    const png = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
    await log.picture(2, 'preview', { png, width: 7, height: 5 });
    await log.histogram(2, 'weights/star.head', Float32Array.of(-1, 2, 4));
    await log.close();
    const run = await readRun(folder);
    const numbers = (tag: string): unknown[] => run.get(tag)!.map(({ step, value }) => [step, value.simple_value]);
    expect(numbers('loss')).toEqual([
      [1, Math.fround(0.1)],
      [2, NaN],
    ]);
    expect(numbers('scaleLoss/2')).toEqual([
      [1, 5],
      [2, 5],
    ]);
    expect(numbers('evaluation/psnr')).toEqual([[2, 21.5]]);
    expect(new Set(run.keys())).toContain('imagesPerSecond');
    const { encoded_image_string: bytes, ...sides } = run.get('preview')![0]!.value.image!;
    expect([sides, Buffer.compare(png, bytes)]).toEqual([{ width: 7, height: 5, colorspace: 3 }, 0]);
    const histo = run.get('weights/star.head')![0]!.value.histo!;
    expect([histo.min, histo.max, histo.num, histo.sum, histo.sum_squares]).toEqual([-1, 4, 3, 5, 21]);
    expect(histo.bucket.reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(histo.bucket).toHaveLength(histo.bucket_limit.length);
  });

  it('is on the disk after each step, with the time of now', async () => {
    const log = new RunLog(folder);
    await log.step(report(1));
    const [name] = (await readdir(folder)).filter((file) => file.includes('tfevents'));
    const events = eventsOf(await readFile(join(folder, name!)));
    expect(Math.abs(events.at(-1)!.wall_time - Date.now() / 1000)).toBeLessThan(10);
    expect(await linesOf()).toHaveLength(1);
    await log.close();
  });

  it('that goes on from an earlier step, in this process or the next, shows each step once, as it was done last', async () => {
    for (const [start, end, loss] of [
      [1, 5, 1],
      [4, 6, 2],
      [3, 8, 3],
    ] as const) {
      const log = new RunLog(folder);
      for (let step = start; step <= end; step++) await log.step(report(step, { loss }));
      if (loss === 3) for (const step of [8, 9]) await log.step(report(step, { loss: 4 }));
      await log.close();
    }
    const losses = [1, 1, 3, 3, 3, 3, 3, 4, 4];
    const points = (await readRun(folder)).get('loss')!;
    expect(points.map(({ step }) => step)).toEqual(stepsTo(9));
    expect(points.map(({ value }) => value.simple_value)).toEqual(losses);
    const lines = await linesOf();
    expect(lines.map(({ step }) => step)).toEqual(stepsTo(9));
    expect(lines.map(({ loss }) => loss)).toEqual(losses);
  });

  it('drops a last line that was cut, whatever its step', async () => {
    const first = new RunLog(folder);
    for (const step of [1, 2]) await first.step(report(step));
    await first.close();
    await appendFile(join(folder, 'log.jsonl'), '{"time":"2026","step":3,"lo');
    const second = new RunLog(folder);
    await second.step(report(9));
    await second.close();
    expect((await linesOf()).map(({ step }) => step)).toEqual([1, 2, 9]);
  });

  it('survives SIGKILL at any moment: no step is lost, none doubled', async () => {
    const script = fileURLToPath(new URL('../testing/write-run-log.ts', import.meta.url));
    const start = (last: number): ChildProcess =>
      spawn(process.execPath, ['--conditions=@star-webgpu/source', '--import', 'tsx', script, folder, String(last)]);
    for (const wait of [90, 5, 31]) {
      const child = start(1e9);
      await once(child.stdout!, 'data');
      child.stdout!.resume();
      await new Promise((resolve) => setTimeout(resolve, wait));
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const saved = Number(await readFile(join(folder, 'saved'), 'utf8'));
    expect(saved).toBeGreaterThan(0);
    const unbroken = start(saved + 25);
    unbroken.stdout!.resume();
    expect(await once(unbroken, 'exit')).toEqual([0, null]);
    const expected = stepsTo(saved + 25);
    expect((await linesOf()).map(({ step }) => step)).toEqual(expected);
    expect((await readRun(folder)).get('loss')!.map(({ step }) => step)).toEqual(expected);
  }, 60_000);
});

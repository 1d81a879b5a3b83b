import { writeFile } from 'node:fs/promises';
import type { Device, KernelRun } from '@star-webgpu/tensor-webgpu';
import { say } from './output.ts';
import { copyWork, matmulWork, rateOf, type Workload } from './workloads.ts';

interface KernelTotal {
  calls: number;
  /** Nanoseconds. */
  time: number;
  flops: number;
  bytes: number;
}

/** What the adapter reaches at best: GFLOPS of a product, GB/s of a copy. */
interface Peaks {
  readonly gflops: number;
  readonly gigabytes: number;
}

/** Prints time, rates and memory of everything that ran, and writes a trace for chrome://tracing or Perfetto. */
export async function reportProfile(device: Device, traceFile: string): Promise<void> {
  const runs = await device.takeProfile();
  device.stopProfile();
  const stats = device.stats();
  say(profileTable(runs, await measurePeaks(device)).join('\n'));
  say(
    `${stats.dispatches} dispatches in ${stats.submits} submits, ${stats.pipelines} pipelines; ${megabytes(stats.liveBytes)} live, ${megabytes(stats.peakBytes)} at the peak`,
  );
  await writeFile(traceFile, JSON.stringify({ traceEvents: traceEvents(runs) }));
  say(`trace of ${runs.length} dispatches: ${traceFile}`);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

async function measurePeaks(device: Device): Promise<Peaks> {
  const [product, copy] = [matmulWork(1024), copyWork(2 ** 22)];
  const best = async (work: Workload): Promise<number> => {
    const times: number[] = [];
    for (let round = 0; round < 4; round++) {
      const start = performance.now();
      await work.run();
      times.push(performance.now() - start);
    }
    return Math.min(...times);
  };
  const peaks = {
    gflops: rateOf(product.flops, await best(product)),
    gigabytes: copy.bytes / (await best(copy)) / 1e6,
  };
  for (const work of [product, copy]) work.dispose();
  await device.idle();
  return peaks;
}

/** Lines of a table: a kernel a line, the slowest first. */
function profileTable(runs: readonly KernelRun[], peaks: Peaks): string[] {
  const totals = totalsOf(runs);
  const all = [...totals.values()].reduce((sum, { time }) => sum + time, 0);
  const rows = [...totals]
    .toSorted(([, a], [, b]) => b.time - a.time)
    .map(([kernel, total]) => row(kernel, total, all));
  return [
    `peaks measured here: ${peaks.gflops.toFixed(1)} GFLOPS (product of 1024^3), ${peaks.gigabytes.toFixed(1)} GB/s (copy)`,
    `${'kernel'.padEnd(28)} ${'ms'.padStart(9)} ${'share'.padStart(6)} ${'calls'.padStart(7)} ${'GFLOPS'.padStart(8)} ${'GB/s'.padStart(7)}`,
    ...rows,
  ];
}

function totalsOf(runs: readonly KernelRun[]): Map<string, KernelTotal> {
  const totals = new Map<string, KernelTotal>();
  for (const { kernel, start, end, flops, bytes } of runs) {
    const total = totals.get(kernel) ?? { calls: 0, time: 0, flops: 0, bytes: 0 };
    totals.set(kernel, total);
    total.calls++;
    total.time += end - start;
    total.flops += flops;
    total.bytes += bytes;
  }
  return totals;
}

function row(kernel: string, { calls, time, flops, bytes }: KernelTotal, all: number): string {
  const rate = flops ? (flops / time).toFixed(1) : '-';
  const share = `${((100 * time) / all).toFixed(1)}%`;
  return `${kernel.padEnd(28)} ${(time / 1e6).toFixed(2).padStart(9)} ${share.padStart(6)} ${String(calls).padStart(7)} ${rate.padStart(8)} ${(bytes / time).toFixed(1).padStart(7)}`;
}

/** Complete events of the trace format, in microseconds from the first. */
function traceEvents(runs: readonly KernelRun[]): Readonly<Record<string, unknown>>[] {
  const origin = runs.reduce((first, { start }) => Math.min(first, start), Infinity);
  return runs.map(({ kernel, label, start, end, flops, bytes, workgroups }) => ({
    name: kernel,
    cat: 'gpu',
    ph: 'X',
    ts: (start - origin) / 1e3,
    dur: (end - start) / 1e3,
    pid: 1,
    tid: 1,
    args: { label, flops, bytes, workgroups },
  }));
}

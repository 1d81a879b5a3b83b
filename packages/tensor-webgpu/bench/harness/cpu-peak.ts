import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { multiplyAddModule, operationsPerTurn } from './multiply-add.ts';

/** Rate of multiplications and additions that the cores reach together. */
export interface CpuPeak {
  readonly gflops: number;
  readonly threads: number;
}

const turns = 6_000_000;
const rounds = 7;

const workerSource = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(workerData)).exports;
  run(1000);
  parentPort.on('message', (turns) => parentPort.postMessage(run(turns)));
`;

/**
 * The cores' peak in 128-bit WebAssembly SIMD: chains of f32x4 multiplications and additions in registers, one thread a core, best of some rounds.
 * It bounds what WebAssembly back ends can reach; native code with wider vectors can do 2 (AVX2) to 4 times (AVX-512) as much, and fused multiply-adds twice that.
 */
export async function cpuPeak(): Promise<CpuPeak> {
  const threads = availableParallelism();
  const bytes = multiplyAddModule();
  const workers = Array.from({ length: threads }, () => new Worker(workerSource, { eval: true, workerData: bytes }));
  const seconds: number[] = [];
  for (let round = 0; round <= rounds; round++) seconds.push(await secondsOf(workers));
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { gflops: (threads * turns * operationsPerTurn) / Math.min(...seconds.slice(1)) / 1e9, threads };
}

/** Seconds until every worker has done its turns. */
async function secondsOf(workers: readonly Worker[]): Promise<number> {
  const start = performance.now();
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise<void>((resolve, reject) => {
          worker.once('error', reject);
          worker.once('message', () => {
            worker.off('error', reject);
            resolve();
          });
          worker.postMessage(turns);
        }),
    ),
  );
  return (performance.now() - start) / 1000;
}

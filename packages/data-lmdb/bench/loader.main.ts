// Times the loader and the packer on JPEG files of 256 pixels, and how long the main thread is busy with them.
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { folderSource, loadBatches, openPack, pack } from '@star-webgpu/data-lmdb';
import { writePhotos } from './photos.ts';

const { values } = parseArgs({
  options: { count: { type: 'string', default: '1000' }, side: { type: 'string', default: '256' } },
});
const [count, side] = [Number(values.count), Number(values.side)];
const batch = 16;
const rounds = 5;

/** Runs something; gives its pictures a second, and the share of the time in which the main thread was busy. */
async function timed(work: () => Promise<unknown>): Promise<{ rate: number; busy: number }> {
  const before = performance.eventLoopUtilization();
  const began = performance.now();
  await work();
  const rate = (1000 * count) / (performance.now() - began);
  return { rate, busy: performance.eventLoopUtilization(before).utilization };
}

const show = (name: string, results: readonly { rate: number; busy: number }[]): void => {
  const best = results.toSorted((a, b) => b.rate - a.rate);
  const middle = best[best.length >> 1]!;
  console.log(
    `${name}: ${best[0]!.rate.toFixed(0)} pictures a second at best, ${middle.rate.toFixed(0)} at the median; main thread busy ${(100 * middle.busy).toFixed(0)}% of it, ${((1000 * middle.busy) / middle.rate).toFixed(2)} ms a picture`,
  );
};

const folder = await mkdtemp(join(tmpdir(), 'star-loader-'));
await writePhotos(join(folder, 'photos'), { count, side });
const path = join(folder, 'bench.lmdb');
console.log(
  `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, load ${loadavg()[0]!.toFixed(1)}; ${count} JPEG files of ${side} x ${side}`,
);
const source = await folderSource(join(folder, 'photos'));
const packing = [];
for (let round = 0; round < rounds; round++) packing.push(await timed(() => pack(source, path)));
show('pack', packing);
const open = await openPack(path);
const loading = [];
for (let round = 0; round < rounds; round++) {
  const options = { packs: [open], batch, size: 256, seed: round, cacheBytes: 0, threads: availableParallelism() };
  const epoch = async (): Promise<void> => {
    for await (const { cursor } of loadBatches(options)) if (cursor.epoch === 1) break;
  };
  loading.push(await timed(epoch));
}
show('load at 256 px', loading);
await open.close();
await rm(folder, { recursive: true });

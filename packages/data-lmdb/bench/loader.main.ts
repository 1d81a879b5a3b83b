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

interface Timed {
  /** Pictures a second. */
  readonly rate: number;
  /** Milliseconds of all cores together a picture: what other programs take does not count. */
  readonly cpu: number;
  /** Share of the time in which the main thread was busy. */
  readonly busy: number;
}

async function timed(work: () => Promise<unknown>): Promise<Timed> {
  const [loop, cpu, began] = [performance.eventLoopUtilization(), process.cpuUsage(), performance.now()];
  await work();
  const rate = (1000 * count) / (performance.now() - began);
  const { user, system } = process.cpuUsage(cpu);
  return { rate, cpu: (user + system) / 1000 / count, busy: performance.eventLoopUtilization(loop).utilization };
}

function show(name: string, results: readonly Timed[]): void {
  const cores = availableParallelism();
  const rates = results.map(({ rate }) => rate).toSorted((a, b) => b - a);
  const cpu = Math.min(...results.map((result) => result.cpu));
  const busy = Math.min(...results.map((result) => result.busy));
  console.log(
    `${name}: ${rates[0]!.toFixed(0)} pictures a second at best, ${rates[rates.length >> 1]!.toFixed(0)} at the median; ` +
      `${cpu.toFixed(2)} ms of CPU a picture, ${((1000 * cores) / cpu).toFixed(0)} a second where ${cores} cores do nothing else; ` +
      `main thread busy ${(100 * busy).toFixed(0)}% of it`,
  );
}

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

import { createDevice, setDevice } from '@star-webgpu/tensor-webgpu';
import { openGpu, throttledWait } from '@star-webgpu/tensor-webgpu/node';
import { matmulContenders } from './matmul.bench.ts';
import { loadPeers } from './peers.ts';
import { timeRounds, type Timing } from '@star-webgpu/tensor-webgpu/testing';

const rounds = 9;
const sides = [512, 1024];

/** One table row a contender: best, median, GFLOPS at best, and how far ahead of it we are. */
function report(title: string, flops: number, timings: readonly Timing[]): string {
  const [ours] = timings;
  const rows = timings.map(({ name, best, median }) => {
    const gflops = flops / best / 1e6;
    return `  ${name.padEnd(16)} ${best.toFixed(1).padStart(9)} ms  ${median.toFixed(1).padStart(9)} ms  ${gflops.toFixed(1).padStart(8)} GFLOPS  ${(best / ours!.best).toFixed(2).padStart(6)}x`;
  });
  return [`${title}: best, median, rate at best, time relative to ours`, ...rows].join('\n');
}

const opened = await openGpu();
const device = await createDevice(opened.adapter, { wait: throttledWait });
setDevice(device);
const peers = await loadPeers(opened.gpu, async () => (await openGpu()).adapter);
console.log(`adapter: ${opened.description}; ${rounds} interleaved rounds`);
for (const side of sides) {
  const timings = await timeRounds(await matmulContenders(side, peers), rounds);
  console.log(report(`matmul f32 ${side}^3`, 2 * side ** 3, timings));
}
device.destroy();
opened.close();
process.exit(0);

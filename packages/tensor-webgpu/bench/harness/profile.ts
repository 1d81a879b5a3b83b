import { currentDevice } from '@star-webgpu/tensor-webgpu';
import type { Candidate } from './row.ts';

/** Time of one kernel in one run of a contender. */
export interface KernelTime {
  readonly kernel: string;
  readonly runs: number;
  readonly milliseconds: number;
}

/** Where a run of ours spends the adapter's time, longest first. Empty where the adapter has no timestamps. */
export async function kernelTimes({ before, run }: Candidate): Promise<KernelTime[]> {
  const device = currentDevice();
  if (!device.profile.timestamps) return [];
  device.startProfile();
  await before?.();
  await run();
  const runs = await device.takeProfile();
  device.stopProfile();
  const found = new Map<string, KernelTime>();
  for (const { kernel, start, end } of runs) {
    const known = found.get(kernel);
    const milliseconds = (known?.milliseconds ?? 0) + (end - start) / 1e6;
    found.set(kernel, { kernel, runs: (known?.runs ?? 0) + 1, milliseconds });
  }
  return [...found.values()].toSorted((a, b) => b.milliseconds - a.milliseconds);
}

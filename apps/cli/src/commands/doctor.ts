import type { Command } from 'commander';
import { matmulWork, rateOf } from '../workloads.ts';
import { openSession, type Session } from '../device.ts';
import { print } from '../output.ts';
import { timeRounds } from '../rounds.ts';

/** Adds `star doctor`. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show the adapter, its limits and features, its speed in a short product, and advice')
    .addHelpText('after', '\nExample:\n  star doctor --adapter swiftshader')
    .action(runDoctor);
}

async function runDoctor(_: unknown, command: Command): Promise<void> {
  const { adapter, json } = command.optsWithGlobals<{ adapter?: string; json?: boolean }>();
  const session = await openSession(adapter);
  const { profile, gpu } = session.device;
  const report = {
    node: process.version,
    adapter: session.description,
    kind: session.kind,
    f16: profile.f16,
    subgroupSize: profile.subgroupSize,
    timestamps: profile.timestamps,
    maxStorageBufferBindingSize: gpu.limits.maxStorageBufferBindingSize,
    maxBufferSize: gpu.limits.maxBufferSize,
    matmulGflops: await matmulGflops(),
    advice: adviceOf(session),
  };
  print(
    json
      ? JSON.stringify(report)
      : Object.entries(report)
          .map(([name, value]) => `${name.padEnd(28)} ${value}`)
          .join('\n'),
  );
  await session.close();
}

async function matmulGflops(): Promise<number> {
  const work = matmulWork(512);
  const [timing] = await timeRounds([work], 5);
  work.dispose();
  return rateOf(work.flops, timing!.best);
}

function adviceOf({ kind }: Session): string {
  if (kind === 'swiftshader')
    return 'this is the embedded software adapter; an installed lavapipe (Mesa 24 or newer) is several times as fast, a GPU driver with Vulkan far faster';
  if (kind === 'lavapipe') return 'this is a software adapter; a GPU driver with Vulkan is far faster';
  return 'a hardware adapter is in use';
}

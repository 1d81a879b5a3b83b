import type { Command } from 'commander';
import { matmul, tensor } from '@star-webgpu/tensor-webgpu';
import { openSession, type Session } from '../device.ts';
import { print } from '../output.ts';

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
    matmulGflops: Number((await matmulGflops(session, 512)).toFixed(1)),
    advice: adviceOf(session),
  };
  print(
    json
      ? JSON.stringify(report)
      : Object.entries(report)
          .map(([name, value]) => `${name.padEnd(28)} ${value}`)
          .join('\n'),
  );
  session.close();
}

/** Rate of an n x n x n product in float32, the best of five. */
async function matmulGflops({ device }: Session, n: number): Promise<number> {
  const values = Float32Array.from({ length: n * n }, (_, i) => Math.sin(i));
  const [a, b] = [tensor(values, [n, n]), tensor(values, [n, n])];
  const run = async (): Promise<number> => {
    const started = performance.now();
    matmul(a, b).dispose();
    await device.idle();
    return performance.now() - started;
  };
  await run();
  let best = Infinity;
  for (let i = 0; i < 5; i++) best = Math.min(best, await run());
  a.dispose();
  b.dispose();
  return (2 * n ** 3) / best / 1e6;
}

function adviceOf({ kind }: Session): string {
  if (kind === 'swiftshader')
    return 'this is the embedded software adapter; an installed lavapipe (Mesa 24 or newer) is about twice as fast, a GPU driver with Vulkan far faster';
  if (kind === 'lavapipe') return 'this is a software adapter; a GPU driver with Vulkan is far faster';
  return 'a hardware adapter is in use';
}

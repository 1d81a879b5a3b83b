import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Site } from './site.ts';

const main = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));

/** Starts `star serve`, which brings the built site along. */
export async function startServer(args: readonly string[] = []): Promise<Site> {
  const flags = ['--conditions=@star-webgpu/source', '--import', import.meta.resolve('tsx')];
  const child = spawn(process.execPath, [...flags, main, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [address] = (await once(createInterface(child.stdout), 'line')) as [string];
  const close = async (): Promise<void> => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  return { address: `${address}/`, close };
}

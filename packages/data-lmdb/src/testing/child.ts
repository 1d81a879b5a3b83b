import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
const NODE = ['--conditions=@star-webgpu/source', '--import', 'tsx', '--input-type=module', '--eval'];

/** What a process said before it ended. */
export interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

/** Starts a module in a process of its own, optionally inside another command; it may import this package by name. */
export function startModule(
  code: string,
  wrapper: readonly string[] = [],
): ChildProcessByStdio<null, Readable, Readable> {
  const [command = process.execPath, ...rest] = [...wrapper, process.execPath, ...NODE, code];
  return spawn(command, rest, { cwd: PACKAGE, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a module in a process of its own to its end. */
export async function runModule(code: string, wrapper: readonly string[] = []): Promise<Outcome> {
  const child = startModule(code, wrapper);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, out, err };
}

/** Whether a command can be run here and succeeds. */
export function succeeds([command, ...rest]: readonly [string, ...string[]]): boolean {
  return spawnSync(command, rest, { stdio: 'ignore' }).status === 0;
}

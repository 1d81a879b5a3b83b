import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** What a run of the command left. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Program and arguments of the command. */
export const starCommand = (args: readonly string[]): [string, ...string[]] => [
  process.execPath,
  '--conditions=@star-webgpu/source',
  '--import',
  import.meta.resolve('tsx'),
  main,
  ...args,
];

/** Starts the command in a process of its own. */
export function startStar(args: readonly string[], cwd?: string, environment = {}): ChildProcessWithoutNullStreams {
  const [program, ...rest] = starCommand(args);
  return spawn(program, rest, { cwd, env: { ...process.env, ...environment } });
}

/** Collects what a process prints until it ends. */
export async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...texts };
}

/** Runs the command to its end. */
export const runStar = (args: readonly string[], cwd?: string, environment = {}): Promise<Outcome> =>
  outcomeOf(startStar(args, cwd, environment));

import { execFileSync } from 'node:child_process';

/** Says what is done, and how long it took. */
export async function step<Result>(name: string, run: () => Result | Promise<Result>): Promise<Result> {
  const started = performance.now();
  const taken = (): string => `(${((performance.now() - started) / 1000).toFixed(1)} s)`;
  try {
    const result = await run();
    console.error(`ok     ${name} ${taken()}`);
    return result;
  } catch (error) {
    console.error(`FAILED ${name} ${taken()}`);
    throw error;
  }
}

export interface RunOptions {
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs a program and gives what it printed. @throws Error with all of its output */
export function run(program: string, args: readonly string[], { cwd, environment = {} }: RunOptions): string {
  try {
    const env = { ...process.env, ...environment };
    return execFileSync(program, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr, message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error([message, stdout, stderr].filter(Boolean).join('\n'), { cause: error });
  }
}

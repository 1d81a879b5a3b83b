import { spawn } from 'node:child_process';
import type { GemmPlan, TuneOptions, TuningProblem } from '@star-webgpu/tensor-webgpu';

/** What a child is asked to try. */
export interface ChildTrial {
  readonly problem: TuningProblem;
  readonly plan: GemmPlan;
}

const timeLimit = 60_000;
const keptErrors = 2000;

/** Tries plans in processes of this command's own kind on the same adapter. */
export const tryInChild =
  (adapter: string | undefined): NonNullable<TuneOptions['tryCandidate']> =>
  (problem, plan) => {
    const trial: ChildTrial = { problem, plan };
    const named = adapter ? ['--adapter', adapter] : [];
    return runChild([...process.execArgv, process.argv[1]!, ...named, 'bench', '--try', JSON.stringify(trial)]);
  };

/** Runs Node with arguments. @throws Error if it fails, is killed or runs over the limit, in milliseconds */
export async function runChild(args: readonly string[], limit = timeLimit): Promise<void> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, STAR_TUNING: 'off', STAR_PROFILE: '' },
    timeout: limit,
    killSignal: 'SIGKILL',
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-keptErrors)));
  const start = performance.now();
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject).once('close', (...outcome) => resolve(outcome));
  });
  if (code === 0) return;
  if (signal && performance.now() - start >= limit) throw new Error(`its process hung for ${limit / 1000} s`);
  throw new Error(signal ? `its process died of ${signal}` : errors.trim() || `its process ended with code ${code}`);
}

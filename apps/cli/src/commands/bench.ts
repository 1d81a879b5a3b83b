import { tryPlan } from '@star-webgpu/tensor-webgpu';
import { type Command, Option } from 'commander';
import { openSession, type Session } from '../device.ts';
import { wholeNumber } from '../numbers.ts';
import { print, say } from '../output.ts';
import { plannedLines, plannedWorks } from '../plan-report.ts';
import { timeRounds } from '../rounds.ts';
import { starSamplingWork, starStepWork } from '../star-workloads.ts';
import { runTuning } from '../tuning.ts';
import type { ChildTrial } from '../tuning-child.ts';
import { attentionWork, matmulWork, rateOf, type Workload } from '../workloads.ts';

interface Flags {
  readonly rounds: number;
  readonly plan?: boolean;
  readonly adapter?: string;
  readonly json?: boolean;
  readonly tune?: boolean;
  readonly only?: string;
  readonly try?: string;
}

/** Adds `star bench`. */
export function addBench(program: Command): void {
  program
    .command('bench')
    .description(
      'time products, attention, a training step and a picture of a small STAR on the adapter; the peers are timed by npm run bench in the repository',
    )
    .option('--rounds <number>', 'interleaved rounds', wholeNumber(1, 1000), 9)
    .option('--plan', 'print the memory that the published sizes need, without running them')
    .option('--tune', 'measure which tiles suit the adapter best, and keep them for later runs of star')
    .option('--only <text>', 'tune only products whose name holds this')
    .addOption(new Option('--try <trial>', 'check one plan in this process, as tuning asks for').hideHelp())
    .addHelpText('after', '\nExamples:\n  star bench --rounds 20 --json\n  star bench --tune\n  star bench --plan')
    .action(runBench);
}

async function runBench(_: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  if (flags.plan) {
    const works = await plannedWorks();
    return print(flags.json ? JSON.stringify({ works }) : plannedLines(works).join('\n'));
  }
  const session = await openSession(flags.adapter);
  try {
    if (flags.try !== undefined) await tryTrial(session, flags.try);
    else if (flags.tune) await runTuning({ ...flags, device: session.device });
    else await timeWorks(session, flags);
  } finally {
    await session.close();
  }
}

/** Checks the plan of another process that must not crash. */
async function tryTrial({ device }: Session, trial: string): Promise<void> {
  const { problem, plan } = JSON.parse(trial) as ChildTrial;
  await tryPlan(device, problem, plan);
}

async function timeWorks(session: Session, { rounds, json }: Flags): Promise<void> {
  say(`adapter: ${session.description}; ${rounds} interleaved rounds`);
  const works: Workload[] = [
    matmulWork(512),
    matmulWork(1024),
    attentionWork(false),
    attentionWork(true),
    starStepWork(),
    starSamplingWork(),
  ];
  const timings = await timeRounds(works, rounds);
  const results = timings.map(({ name, best, median }, i): Result => {
    const { flops } = works[i]!;
    return { name, best, median, ...(flops !== undefined && { gflops: rateOf(flops, best) }) };
  });
  for (const work of works) work.dispose();
  print(json ? JSON.stringify({ adapter: session.description, rounds, results }) : results.map(lineOf).join('\n'));
}

interface Result {
  readonly name: string;
  readonly best: number;
  readonly median: number;
  /** Where the work's size is known. */
  readonly gflops?: number;
}

const lineOf = ({ name, best, median, gflops }: Result): string => {
  const rate = gflops === undefined ? '' : `  ${gflops.toFixed(1).padStart(7)} GFLOPS`;
  return `${name.padEnd(86)} best ${best.toFixed(1).padStart(8)} ms  median ${median.toFixed(1).padStart(8)} ms${rate}`;
};

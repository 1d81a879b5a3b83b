import type { Command } from 'commander';
import { openSession } from '../device.ts';
import { wholeNumber } from '../numbers.ts';
import { print, say } from '../output.ts';
import { plannedLines, plannedWorks } from '../plan-report.ts';
import { timeRounds } from '../rounds.ts';
import { starSamplingWork, starStepWork } from '../star-workloads.ts';
import { attentionWork, matmulWork, rateOf, type Workload } from '../workloads.ts';

interface Flags {
  readonly rounds: number;
  readonly plan?: boolean;
  readonly adapter?: string;
  readonly json?: boolean;
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
    .addHelpText('after', '\nExample:\n  star bench --rounds 20 --json')
    .action(runBench);
}

async function runBench(_: unknown, command: Command): Promise<void> {
  const { rounds, adapter, json, plan } = command.optsWithGlobals<Flags>();
  if (plan) {
    const works = await plannedWorks();
    return print(json ? JSON.stringify({ works }) : plannedLines(works).join('\n'));
  }
  const session = await openSession(adapter);
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
  await session.close();
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

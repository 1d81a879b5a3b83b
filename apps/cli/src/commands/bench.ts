import { timeRounds } from '@star-webgpu/tensor-webgpu/testing';
import type { Command } from 'commander';
import { openSession } from '../device.ts';
import { wholeNumber } from '../numbers.ts';
import { print, say } from '../output.ts';
import { attentionWork, matmulWork, rateOf } from '../workloads.ts';

interface Flags {
  readonly rounds: number;
  readonly adapter?: string;
  readonly json?: boolean;
}

/** Adds `star bench`. */
export function addBench(program: Command): void {
  program
    .command('bench')
    .description('time products and attention on the adapter; the peers are timed by npm run bench in the repository')
    .option('--rounds <number>', 'interleaved rounds', wholeNumber(1, 1000), 9)
    .addHelpText('after', '\nExample:\n  star bench --rounds 20 --json')
    .action(runBench);
}

async function runBench(_: unknown, command: Command): Promise<void> {
  const { rounds, adapter, json } = command.optsWithGlobals<Flags>();
  const session = await openSession(adapter);
  say(`adapter: ${session.description}; ${rounds} interleaved rounds`);
  const works = [matmulWork(512), matmulWork(1024), attentionWork(false), attentionWork(true)];
  const timings = await timeRounds(works, rounds);
  const results = timings.map(({ name, best, median }, i) => ({ name, best, median, gflops: rateOf(works[i]!, best) }));
  for (const work of works) work.dispose();
  print(json ? JSON.stringify({ adapter: session.description, rounds, results }) : results.map(lineOf).join('\n'));
  await session.close();
}

const lineOf = ({
  name,
  best,
  median,
  gflops,
}: {
  name: string;
  best: number;
  median: number;
  gflops: number;
}): string =>
  `${name.padEnd(60)} best ${best.toFixed(1).padStart(8)} ms  median ${median.toFixed(1).padStart(8)} ms  ${gflops.toFixed(1).padStart(7)} GFLOPS`;

import type { Candidate } from './row.ts';

/** Milliseconds of a contender over its rounds. */
export interface Timing {
  readonly rounds: number;
  readonly best: number;
  readonly median: number;
}

/** Milliseconds that one contender may take in all: slow ones run in fewer rounds. */
const budget = 8000;

/** Times contenders in interleaved rounds, so that a noisy minute hits all of them alike; one round before does not count. */
export async function timeInterleaved(candidates: readonly Candidate[], rounds: number): Promise<Timing[]> {
  const first: number[] = [];
  for (const candidate of candidates) first.push(await timeOnce(candidate));
  const wanted = first.map((milliseconds) => Math.min(rounds, Math.ceil(budget / milliseconds)));
  const times = candidates.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++)
    for (const [i, candidate] of candidates.entries())
      if (round < wanted[i]!) times[i]!.push(await timeOnce(candidate));
  return times.map((all) => {
    const sorted = all.toSorted((a, b) => a - b);
    return { rounds: all.length, best: sorted[0]!, median: sorted[Math.floor(sorted.length / 2)]! };
  });
}

async function timeOnce({ before, run }: Candidate): Promise<number> {
  await before?.();
  const start = performance.now();
  await run();
  return performance.now() - start;
}

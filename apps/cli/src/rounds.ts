/** One contender: a name, and a run that resolves when the device has finished. */
export interface Contender {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** Milliseconds of a contender over all rounds. */
export interface Timing {
  readonly name: string;
  readonly best: number;
  readonly median: number;
}

/** Times contenders in interleaved rounds, so that a noisy minute hits all of them alike. Milliseconds a run. */
export async function timeRounds(contenders: readonly Contender[], rounds: number): Promise<Timing[]> {
  const times = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  for (const { run } of contenders) await run();
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of contenders) {
      const start = performance.now();
      await run();
      times.get(name)!.push(performance.now() - start);
    }
  }
  return [...times].map(([name, all]) => {
    const sorted = all.toSorted((a, b) => a - b);
    return { name, best: sorted[0]!, median: sorted[Math.floor(sorted.length / 2)]! };
  });
}

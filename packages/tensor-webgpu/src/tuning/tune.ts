import { currentDevice } from '../device/current.ts';
import type { Device } from '../device/device.ts';
import { check, DeviceLostError } from '../errors.ts';
import { gemmCandidates, type GemmPlan, type GemmProblem, type GemmTile } from '../ops/gemm-plan.ts';
import { type Trial, trialOf, type TuningProblem } from './operands.ts';
import { adapterKey, type TuningTable } from './table.ts';

/** A candidate that is not used, and why. */
export interface DroppedTile {
  readonly tile: GemmTile;
  readonly reason: string;
}

/** What was measured for one problem; times are medians in milliseconds of a product. */
export interface TuningResult {
  readonly name: string;
  readonly problem: GemmProblem;
  readonly builtIn: GemmTile;
  /** Missing where the built-in choice was dropped. */
  readonly builtInTime: number | undefined;
  /** The winner: the built-in choice unless another one is clearly faster. */
  readonly best: GemmTile;
  readonly bestTime: number;
  readonly dropped: readonly DroppedTile[];
  /** Candidates that no time was left for. */
  readonly skipped: readonly GemmTile[];
}

/** How long `tune` may take, and whom it tells. */
export interface TuneOptions {
  /** Called behind each problem. */
  readonly onResult?: (result: TuningResult) => void;
  /**
   * Milliseconds for the checks of a problem's candidates, compiling included, again for their timing, and again for the winner's second one; 2000 by default.
   * Two right candidates are always looked for, and three rounds always timed.
   */
  readonly budget?: number;
  /** Ends tuning between two runs: `tune` rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Tries a plan on matrix units where a crash does no harm, before it runs here: one driver is known to crash. Rejects to drop the plan. */
  readonly tryCandidate?: (problem: TuningProblem, plan: GemmPlan) => Promise<void>;
  /** Plans to try, the built-in choice first; `gemmCandidates` by default. */
  readonly candidates?: (problem: GemmProblem, device: Device) => readonly GemmPlan[];
}

/** Largest difference from the plain kernel, relative to the largest value: f32 sums differ by their order, f16 results are rounded to 11 bits. */
const bounds = { f32: 1e-4, f16: 2e-3 } as const;

const defaultBudget = 2000;
const leastRight = 2;
const rounds = { least: 3, most: 25 } as const;
/** Milliseconds of one sample: enough that the wait for the device counts little. */
const sampleTime = 40;
const mostRepeats = 200;
/** Candidates that take so many times the best time are not timed again. */
const hopeless = 2;
/** A tile must be that much faster than the built-in one: less is noise. */
const leastGain = 1.03;

/**
 * Finds the fastest tile for each problem: every candidate is checked against the plain kernel, then all are timed in interleaved rounds.
 * The table is not put to use (`useTuning` does). The device must be idle and the one in use.
 * @throws DeviceLostError if a candidate takes the device down; the signal's reason if it aborts.
 */
export async function tune(
  device: Device,
  problems: readonly TuningProblem[],
  options: TuneOptions = {},
): Promise<TuningTable> {
  check('tune', currentDevice() === device, () => 'device must be the one in use. Call setDevice(device) first.');
  const results: TuningResult[] = [];
  for (const problem of problems) {
    const result = await tuneOne(device, problem, options);
    results.push(result);
    options.onResult?.(result);
  }
  return tuningTable(device, results);
}

/** The table of what was measured on a device, also by a run that ended early. */
export function tuningTable(device: Device, results: readonly TuningResult[]): TuningTable {
  const entries = results.map(({ problem, best, builtIn }) => ({ problem, tile: best === builtIn ? null : best }));
  return { adapter: adapterKey(device), entries };
}

/** Runs one plan of a problem and compares it with the plain kernel. @throws Error if it is wrong or the GPU refuses it. */
export async function tryPlan(device: Device, problem: TuningProblem, plan: GemmPlan): Promise<void> {
  const trial = await trialOf(problem, device);
  try {
    await compare(trial, plan, await plainValues(trial));
  } finally {
    trial.dispose();
  }
}

async function tuneOne(device: Device, problem: TuningProblem, options: TuneOptions): Promise<TuningResult> {
  options.signal?.throwIfAborted();
  const trial = await trialOf(problem, device);
  try {
    const plans = (options.candidates ?? gemmCandidates)(trial.problem, device);
    const { right, dropped, skipped } = await sift(plans, { trial, problem, options });
    const { tile: builtIn } = plans[0]!;
    const chosen = await choose(plans[0]!, { trial, plans: right, options });
    return { name: problem.name, problem: trial.problem, builtIn, ...chosen, dropped, skipped };
  } finally {
    trial.dispose();
  }
}

/** Times plans and picks the winner. One that beat the built-in plan must do so once more, alone with it: the best of many is often so by chance. */
async function choose(
  builtIn: GemmPlan,
  timing: Timing,
): Promise<Pick<TuningResult, 'builtInTime' | 'best' | 'bestTime'>> {
  let times = await timePlans(timing);
  const first = fastest(times, builtIn);
  if (first !== builtIn && times.has(builtIn)) times = await timePlans({ ...timing, plans: [builtIn, first] });
  const best = fastest(times, builtIn);
  return { builtInTime: times.get(builtIn), best: best.tile, bestTime: times.get(best)! };
}

/** The plan with the least time; the built-in one unless it is beaten clearly. */
function fastest(times: ReadonlyMap<GemmPlan, number>, builtIn: GemmPlan): GemmPlan {
  const [best, time] = [...times].reduce((least, next) => (next[1] < least[1] ? next : least));
  const usual = times.get(builtIn);
  return usual !== undefined && usual <= time * leastGain ? builtIn : best;
}

/** The plain kernel's plan, which other plans are checked against; it needs nothing of the adapter. */
const plain: GemmPlan = { tile: { backend: 'plain' }, parts: 1, halves: 'packed' };

async function plainValues(trial: Trial): Promise<Float32Array> {
  trial.run(plain);
  return trial.c.data();
}

/** Throws unless a plan's result is the plain kernel's. */
async function compare(trial: Trial, plan: GemmPlan, want: Float32Array): Promise<void> {
  const { c, problem } = trial;
  trial.clear();
  trial.run(plan);
  const got = await c.data();
  const error = largestError(got, want);
  const bound = bounds[problem.dtype as TuningProblem['dtype']];
  if (!(error <= bound)) throw new Error(`its result is wrong: off by ${error.toExponential(1)}, allowed ${bound}`);
}

/** The largest difference by the largest wanted value; NaN where any value is. */
function largestError(got: Float32Array, want: Float32Array): number {
  let [difference, largest] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    difference = Math.max(difference, Math.abs(got[i]! - want[i]!));
    largest = Math.max(largest, Math.abs(want[i]!));
  }
  return difference / largest;
}

interface Sifting {
  readonly trial: Trial;
  readonly problem: TuningProblem;
  readonly options: TuneOptions;
}

interface Sifted {
  readonly right: readonly GemmPlan[];
  readonly dropped: readonly DroppedTile[];
  readonly skipped: readonly GemmTile[];
}

/** Parts plans with the right result from those that are wrong, crash elsewhere or are refused by the GPU, and from those that no time is left for. */
async function sift(plans: readonly GemmPlan[], { trial, problem, options }: Sifting): Promise<Sifted> {
  const want = await plainValues(trial);
  const [right, dropped]: [GemmPlan[], DroppedTile[]] = [[], []];
  const end = performance.now() + (options.budget ?? defaultBudget);
  for (const [i, plan] of plans.entries()) {
    options.signal?.throwIfAborted();
    if (right.length >= leastRight && performance.now() > end)
      return { right, dropped, skipped: plans.slice(i).map(({ tile }) => tile) };
    try {
      if (plan.tile.backend === 'matrix') await options.tryCandidate?.(problem, plan);
      await compare(trial, plan, want);
      right.push(plan);
    } catch (error) {
      if (error instanceof DeviceLostError) throw error;
      await settle(trial.c.storage.device);
      dropped.push({ tile: plan.tile, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { right: right.length ? right : [plain], dropped, skipped: [] };
}

/** Waits until the errors that follow a refused command are through, so that they do not meet the next plan. */
async function settle(device: Device): Promise<void> {
  for (;;) {
    try {
      return await device.idle();
    } catch (error) {
      if (error instanceof DeviceLostError) throw error;
    }
  }
}

interface Timing {
  readonly trial: Trial;
  readonly plans: readonly GemmPlan[];
  readonly options: TuneOptions;
}

/** Medians of plans in milliseconds, over rounds that go through all plans that may still win. */
async function timePlans({ trial, plans, options }: Timing): Promise<Map<GemmPlan, number>> {
  const { budget = defaultBudget, signal } = options;
  const { device } = trial.c.storage;
  const end = performance.now() + budget;
  const once = await sample(device, () => trial.run(plans[0]!));
  const repeats = Math.min(Math.max(Math.round(sampleTime / once), 1), mostRepeats);
  const samples = new Map(plans.map((plan) => [plan, [] as number[]]));
  for (let round = 0; round < rounds.most && (round < rounds.least || performance.now() < end); round++) {
    const least = Math.min(...[...samples.values()].map(median));
    for (const [plan, times] of samples) {
      signal?.throwIfAborted();
      if (times.length && median(times) > hopeless * least) continue;
      times.push((await sample(device, () => repeat(repeats, () => trial.run(plan)))) / repeats);
    }
  }
  return new Map([...samples].map(([plan, times]) => [plan, median(times)]));
}

const repeat = (count: number, run: () => void): void => {
  for (let i = 0; i < count; i++) run();
};

/** Milliseconds from idle to idle. */
async function sample(device: Device, run: () => void): Promise<number> {
  const start = performance.now();
  run();
  await device.idle();
  return performance.now() - start;
}

/** The middle of some times; infinite for none. */
function median(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Infinity;
}

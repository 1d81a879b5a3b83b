import type { Peer } from '../peers/index.ts';
import { oursCandidate } from './ours.ts';
import { type KernelTime, kernelTimes } from './profile.ts';
import type { Candidate, Kind, LeftOut, Row, Work } from './row.ts';
import { timeInterleaved, type Timing } from './time.ts';
import { worstError } from './values.ts';

/** A contender with its times. */
export interface Timed extends Timing {
  readonly name: string;
  readonly kind: Kind;
  readonly flops?: number;
  /** Relative error against ours; absent for ours and where nothing is compared. */
  readonly error?: number;
}

/** A contender that was not timed, and why. */
interface NotRun {
  readonly name: string;
  readonly why: string;
}

export interface RowResult {
  readonly name: string;
  readonly about: string;
  readonly goal?: number;
  /** What else the numbers say. */
  readonly note?: string;
  readonly timed: readonly Timed[];
  readonly notRun: readonly NotRun[];
  /** Where a run of ours spends its time, where that was asked for. */
  readonly kernels?: readonly KernelTime[];
}

/** How rows are run. */
export interface RunOptions {
  readonly peers: readonly Peer[];
  readonly rounds: number;
  /** Also times each kernel of ours, in a run of its own. */
  readonly profile: boolean;
}

/** A candidate that may be timed. */
interface Checked {
  readonly candidate: Candidate;
  readonly error?: number;
}

/** Builds every contender, checks the peers' results against ours, and times those that agree. */
export async function runRow(row: Row, options: RunOptions): Promise<RowResult> {
  const notRun: NotRun[] = [];
  const checked: Checked[] = [];
  let reference: readonly Float32Array[] | undefined;
  for (const { name, make } of contendersOf(row, options.peers)) {
    try {
      const found = await checkedCandidate(await make(), { reference, tolerance: row.tolerance });
      reference ??= found.outputs;
      checked.push(found);
    } catch (error) {
      notRun.push({ name, why: firstLine(error) });
    }
  }
  const { name, about, goal } = row;
  return { name, about, ...(goal !== undefined && { goal }), ...(await timeAll(checked, options)), notRun };
}

/** Times contenders, looks into the first of ours where that is asked for, and frees them all. */
export async function timeAll(
  checked: readonly Checked[],
  { rounds, profile }: Omit<RunOptions, 'peers'>,
): Promise<Pick<RowResult, 'timed' | 'kernels'>> {
  const timings = await timeInterleaved(
    checked.map(({ candidate }) => candidate),
    rounds,
  );
  const ours = checked.find(({ candidate: { kind } }) => kind === 'ours')?.candidate;
  const kernels = profile && ours ? await kernelTimes(ours) : undefined;
  for (const { candidate } of checked) await candidate.dispose();
  const timed = checked.map(({ candidate: { name, kind, flops }, error }, i) => ({
    name,
    kind,
    ...timings[i]!,
    ...(flops !== undefined && { flops }),
    ...(error !== undefined && { error }),
  }));
  return { timed, ...(kernels && { kernels }) };
}

interface Reference {
  readonly reference: readonly Float32Array[] | undefined;
  readonly tolerance: number;
}

async function checkedCandidate(
  candidate: Candidate,
  { reference, tolerance }: Reference,
): Promise<Checked & { readonly outputs: readonly Float32Array[] }> {
  await candidate.before?.();
  const outputs = await candidate.outputs!();
  if (candidate.kind === 'ours' && !reference) return { candidate, outputs };
  if (!reference) throw new Error('there is no result of ours to check it against');
  const error = worstError(outputs, reference);
  if (error <= tolerance) return { candidate, outputs, error };
  throw new Error(`its result is off by ${error.toExponential(1)} relative to ours; ${tolerance} is allowed`);
}

interface Contender {
  readonly name: string;
  readonly make: () => Promise<Candidate>;
}

/** Ours and every back end of every peer, or why one takes no part. */
function contendersOf(row: Row, peers: readonly Peer[]): Contender[] {
  const { flops, peerFlops = flops } = row;
  return row.works().flatMap((work) => {
    if ('why' in work) return peersOf(work, peers).map(({ name }) => ({ name, make: () => refuse(work.why) }));
    const named = (name: string): string => (work.label ? `${name} ${work.label}` : name);
    if (work.library === 'ours') {
      const name = named('tensor-webgpu');
      return [{ name, make: async () => ({ ...oursCandidate(name, work.build()), flops }) }];
    }
    return peersOf(work, peers).map((peer) => {
      const name = named(peer.name);
      return { name, make: async () => ({ ...(await peer.candidate(name, work)), flops: peerFlops }) };
    });
  });
}

const peersOf = (work: Work | LeftOut, peers: readonly Peer[]): readonly Peer[] =>
  peers.filter(
    ({ library, kind }) => library === work.library && (!('kinds' in work) || !work.kinds || work.kinds.includes(kind)),
  );

const refuse = (why: string): Promise<never> => Promise.reject(new Error(why));

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 240);

import { type Communicator, gatherTexts, launchOf, openMpi, singleProcess } from '@star-webgpu/trainer';
import { say } from '../output.ts';

/** Joins the processes that mpirun or srun started; a process that was started by itself is alone. */
export async function joinRanks(): Promise<Communicator> {
  const launch = launchOf(process.env);
  if (!launch) return singleProcess;
  const library = process.env['STAR_MPI_LIBRARY'];
  const timeoutSeconds = secondsOf('STAR_MPI_TIMEOUT', process.env['STAR_MPI_TIMEOUT']);
  return openMpi({ launch, library, timeoutSeconds });
}

function secondsOf(name: string, text: string | undefined): number | undefined {
  if (!text) return undefined;
  const seconds = Number(text);
  if (!(seconds > 0)) throw new Error(`${name} must be a number of seconds above 0, got ${text}. Correct it.`);
  return seconds;
}

/** Says something once for all ranks. */
export const sayOn =
  ({ rank }: Communicator): typeof say =>
  (text) =>
    void (rank === 0 && say(text));

/** The adapter of a process where several are named with commas between: they take turns over the processes of a machine. */
export function adapterOf(named: string | undefined, { localRank }: Communicator): string | undefined {
  const names = named?.split(',');
  return names?.[localRank % names.length]?.trim();
}

/** What the ranks compute on, for people: each adapter once, with its ranks. */
export async function adapterLines(communicator: Communicator, description: string): Promise<string[]> {
  if (communicator.size === 1) return [`adapter: ${description}`];
  const all = await gatherTexts(communicator, description);
  return [...new Set(all)].map((adapter) => {
    const ranks = [...all.keys()].filter((rank) => all[rank] === adapter);
    return `adapter of ${ranks.length} ranks (${shortList(ranks)}): ${adapter}`;
  });
}

/** The first few numbers of many. */
const shortList = (numbers: readonly number[]): string =>
  `${numbers.slice(0, 8).join(', ')}${numbers.length > 8 ? ', ...' : ''}`;

/** Runs what all ranks do together; a fault of one ends all of them, with its reason. */
export async function together(communicator: Communicator, run: () => Promise<void>): Promise<void> {
  if (communicator.size === 1) return run();
  try {
    await run();
    await communicator.close();
  } catch (error) {
    await communicator.abort(`error: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The exit code of a run that was stopped, the same for all ranks: that of any that got the signal. */
export async function stopCode(communicator: Communicator, signal: AbortSignal): Promise<number> {
  const codes = await gatherTexts(communicator, signal.aborted ? `${signal.reason as number}` : '0');
  return Math.max(...codes.map(Number));
}

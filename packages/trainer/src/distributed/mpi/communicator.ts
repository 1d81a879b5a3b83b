import { writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { startMpiThread } from '../../start-mpi-thread.ts';
import type { Communicator, WireType } from '../communicator.ts';
import { gatherTexts } from '../gather.ts';
import type { Launch } from '../launch.ts';
import { prepareUcx } from './node.ts';

/** How the processes of a launch find each other. */
export interface MpiOptions {
  readonly launch: Launch;
  /** File of the MPI library; the launcher's is looked for if not given. */
  readonly library?: string | undefined;
  /** Seconds after which a rank that does not answer counts as lost; 600 if not given. */
  readonly timeoutSeconds?: number | undefined;
}

interface Answer {
  readonly id: number | 'ready';
  readonly result?: unknown;
  readonly fault?: string;
}

interface Ready {
  readonly rank: number;
  readonly size: number;
  readonly library: string;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Milliseconds in which the launcher reads what this process wrote last; behind an abort it may not. */
const lastWords = 500;

/** Milliseconds that the launcher is given to end this process behind an abort. */
const abortPatience = 10_000;

/** The other ranks, through a thread that owns MPI: this one is free for the device meanwhile. */
class MpiCommunicator implements Communicator {
  rank = 0;
  size = 1;
  localRank = 0;
  private readonly worker: Worker;
  /** Set to 1, it makes the thread abort from inside a wait. */
  private readonly control = new Int32Array(new SharedArrayBuffer(4));
  private readonly waiting = new Map<Answer['id'], Waiting>();
  private count = 0;
  /** Why there is no thread any more. */
  private gone: Error | undefined;

  constructor({ launch, library, timeoutSeconds = 600 }: MpiOptions) {
    prepareUcx();
    this.worker = startMpiThread({ family: launch.family, path: library, timeoutSeconds, control: this.control });
    this.worker.on('message', (answer: Answer) => this.settle(answer));
    this.worker.on('error', ({ message }) => this.fail(message));
    this.worker.on('exit', () => this.fail('mpi: its thread must live as long as the run, got its end.'));
  }

  /** @throws Error where the library sees another number of ranks than were started. */
  async open({ size: started }: Launch): Promise<void> {
    const { rank, size, library } = (await this.answer('ready')) as Ready;
    if (size !== started)
      throw new Error(
        `mpi: ${library} must see the ${started} processes that were started, got ${size}. Use the launcher of this library: its mpirun, or srun --mpi=pmi2 for MPICH and --mpi=pmix for Open MPI.`,
      );
    Object.assign(this, { rank, size });
    const hosts = await gatherTexts(this, hostname());
    this.localRank = hosts.slice(0, rank).filter((host) => host === hosts[rank]).length;
  }

  allocate(bytes: number): Uint8Array {
    return new Uint8Array(new SharedArrayBuffer(bytes));
  }

  async allReduceSum(memory: Uint8Array, type: WireType): Promise<void> {
    await this.ask('sum', { memory, type });
  }

  async allGather(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    return (await this.ask('gather', { bytes })) as Uint8Array[];
  }

  async broadcast(bytes: Uint8Array): Promise<void> {
    bytes.set((await this.ask('broadcast', { bytes })) as Uint8Array);
  }

  async barrier(): Promise<void> {
    await this.allGather(Uint8Array.of(1));
  }

  async abort(reason: string): Promise<never> {
    // Written at once: the launcher kills this process too.
    writeSync(2, `rank ${this.rank} of ${this.size}: ${reason}\n`);
    await delay(lastWords);
    Atomics.store(this.control, 0, 1);
    this.worker.postMessage({ id: this.count++, task: 'abort' });
    await delay(abortPatience);
    process.exit(1);
  }

  async close(): Promise<void> {
    await this.ask('close', {});
    await this.end();
  }

  /** Ends the thread; without `close` before it the others wait in vain. */
  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private ask(task: string, given: object): Promise<unknown> {
    const id = this.count++;
    this.worker.postMessage({ id, task, ...given });
    return this.answer(id);
  }

  private answer(id: Answer['id']): Promise<unknown> {
    if (this.gone) return Promise.reject(this.gone);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  private settle({ id, result, fault }: Answer): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (fault === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(fault));
  }

  private fail(fault: string): void {
    this.gone ??= new Error(fault);
    for (const id of this.waiting.keys()) this.settle({ id, fault });
  }
}

/** Joins the processes that a launcher started. @throws Error saying which library was looked for, or who started too few. */
export async function openMpi(options: MpiOptions): Promise<Communicator> {
  const communicator = new MpiCommunicator(options);
  try {
    await communicator.open(options.launch);
  } catch (error) {
    // The thread would keep this process from its end.
    await communicator.end();
    throw error;
  }
  return communicator;
}

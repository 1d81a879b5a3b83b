import { Worker } from 'node:worker_threads';
import type { Launch } from './distributed/launch.ts';

/** What the thread that owns MPI is started with. */
export interface MpiThreadData {
  readonly family: Launch['family'];
  /** File of the MPI library, where one is named. */
  readonly path: string | undefined;
  readonly timeoutSeconds: number;
  /** Set to 1, it makes the thread abort from inside a wait. */
  readonly control: Int32Array;
}

/** Starts the thread that owns MPI. It stands here, as the built package has both this code and the thread's file in its topmost folder. */
export const startMpiThread = (workerData: MpiThreadData): Worker =>
  new Worker(new URL('./mpi-thread.js', import.meta.url), { workerData });

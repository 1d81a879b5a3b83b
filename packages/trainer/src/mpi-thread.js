// The thread that owns MPI: all calls of the library are made here, one after the other, while the main thread feeds the device.
import { parentPort, workerData } from 'node:worker_threads';
import { joinMpi } from './distributed/mpi/join.js';
import { Sums } from './distributed/mpi/sums.js';

const { family, path, timeoutSeconds, control } = workerData;
const isAborted = () => Atomics.load(control, 0) === 1;
const { mpi, exchange, rank, size } = joinMpi({ family, path, timeoutSeconds, isAborted });
const sums = new Sums({ mpi, exchange, rank, size });
const peers = Array.from({ length: size }, (_, r) => r).filter((r) => r !== rank);

/** What the main thread may ask for; answers are posted back. */
const tasks = {
  sum: ({ memory, type }) => sums.run(memory, type),
  gather({ bytes }) {
    const receives = peers.map((peer) => ({ peer, bytes: new Uint8Array(bytes.length) }));
    exchange.run({ receives, sends: peers.map((peer) => ({ peer, bytes })), purpose: 'exchange of numbers' });
    const all = receives.map((received) => received.bytes);
    all.splice(rank, 0, bytes);
    return all;
  },
  broadcast({ bytes }) {
    const receives = rank === 0 ? [] : [{ peer: 0, bytes }];
    const sends = rank === 0 ? peers.map((peer) => ({ peer, bytes })) : [];
    exchange.run({ receives, sends, purpose: 'exchange of weights' });
    return bytes;
  },
  abort: () => exchange.abort(),
  close: () => exchange.check(mpi.call.Finalize()),
};

parentPort.on('message', ({ id, task, ...given }) => {
  try {
    parentPort.postMessage({ id, result: tasks[task](given) });
  } catch (error) {
    parentPort.postMessage({ id, fault: error instanceof Error ? error.message : String(error) });
  }
});
parentPort.postMessage({ id: 'ready', result: { rank, size, library: `${mpi.family} (${mpi.path})` } });

// The thread that owns MPI: all calls of the library are made here, one after the other, while the main thread feeds the device.
import { parentPort, workerData } from 'node:worker_threads';
import { Exchange } from './distributed/mpi/exchange.js';
import { loadMpi } from './distributed/mpi/library.js';
import { sumOverRanks } from './distributed/mpi/sums.js';

/** MPI_THREAD_FUNNELED: other threads exist, but this one alone calls. */
const funneled = 1;

const { family, path, timeoutSeconds, control } = workerData;
const mpi = loadMpi({ family, path });
const exchange = new Exchange(mpi, { timeoutSeconds, isAborted: () => Atomics.load(control, 0) === 1 });
const { call, handles } = mpi;

/** @param {string} name */
function numberOf(name) {
  const number = [0];
  exchange.check(call[name](handles.world, number));
  return number[0];
}

exchange.check(call.Init_thread(null, null, funneled, [0]));
exchange.check(call.Comm_set_errhandler(handles.world, handles.errorsReturn));
const [rank, size] = [numberOf('Comm_rank'), numberOf('Comm_size')];
const peers = Array.from({ length: size }, (_, r) => r).filter((r) => r !== rank);

/** What the main thread may ask for; answers are posted back. */
const tasks = {
  sum: ({ memory, type }) => sumOverRanks(memory, { mpi, exchange, rank, size, type }),
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
  close: () => exchange.check(call.Finalize()),
};

parentPort.on('message', ({ id, task, ...given }) => {
  try {
    parentPort.postMessage({ id, result: tasks[task](given) });
  } catch (error) {
    parentPort.postMessage({ id, fault: error instanceof Error ? error.message : String(error) });
  }
});
parentPort.postMessage({ id: 'ready', result: { rank, size, library: `${mpi.family} (${mpi.path})` } });

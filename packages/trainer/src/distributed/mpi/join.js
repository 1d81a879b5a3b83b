import { Exchange } from './exchange.js';
import { loadMpi } from './library.js';

/** MPI_THREAD_FUNNELED: other threads exist, but this one alone calls. */
const funneled = 1;

/**
 * Joins the ranks, on the thread that makes all calls from now on.
 * @param {{ family: import('./library.js').Mpi['family'] | undefined, path: string | undefined, timeoutSeconds: number, isAborted: () => boolean }} options
 */
export function joinMpi({ family, path, ...watch }) {
  const mpi = loadMpi({ family, path });
  const exchange = new Exchange(mpi, watch);
  const { call, handles } = mpi;
  const numberOf = (/** @type {string} */ name) => {
    const number = [0];
    exchange.check(call[name](handles.world, number));
    return number[0];
  };
  exchange.check(call.Init_thread(null, null, funneled, [0]));
  exchange.check(call.Comm_set_errhandler(handles.world, handles.errorsReturn));
  const [rank, size] = [numberOf('Comm_rank'), numberOf('Comm_size')];
  return { mpi, exchange, rank, size };
}

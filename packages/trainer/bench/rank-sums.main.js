// One of two ranks that do what each of N ranks does in a sum: it sends N - 1 parts, receives as many, and adds up N. All parts go to the one
// other rank. Takes { counts, sizes, rounds } as JSON; rank 0 prints the least milliseconds for each count of ranks and each number of bytes.
import { launchOf } from '../src/distributed/launch.ts';
import { joinMpi } from '../src/distributed/mpi/join.js';
import { prepareUcx } from '../src/distributed/mpi/node.ts';
import { Sums } from '../src/distributed/mpi/sums.js';

const { counts, sizes, rounds } = JSON.parse(process.argv[2]);
prepareUcx();
const { mpi, exchange, rank } = joinMpi({
  family: launchOf(process.env)?.family,
  path: process.env.STAR_MPI_LIBRARY,
  timeoutSeconds: 60,
  isAborted: () => false,
});

/** Every rank but this one is played by the other. */
const played = {
  run({ receives, sends, purpose }) {
    const toOther = (transfers) => transfers.map(({ bytes }) => ({ peer: 1 - rank, bytes }));
    exchange.run({ receives: toOther(receives), sends: toOther(sends), purpose });
  },
};

/** Least milliseconds of a sum over so many ranks. */
function timeOf(count, bytes) {
  // Whole words for each rank, so that parts are equal.
  const memory = new Uint8Array(new SharedArrayBuffer(Math.ceil(bytes / (4 * count)) * 4 * count));
  const sums = new Sums({ mpi, exchange: played, rank, size: count });
  sums.run(memory, 'f32');
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    sums.run(memory, 'f32');
    return performance.now() - start;
  });
  return Math.min(...times);
}

const times = counts.map((count) => sizes.map((bytes) => timeOf(count, bytes)));
exchange.check(mpi.call.Finalize());
if (rank === 0) process.stdout.write(JSON.stringify(times));

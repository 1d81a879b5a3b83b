// One rank of the tests of communicators: `mpirun -n 3 node ... ranks.ts <what>`. Rank 0 prints what all have, as JSON.
import { hashedValues } from '@star-webgpu/tensor-webgpu/testing';
import { toHalfBits } from '@star-webgpu/tensor-webgpu';
import { launchOf } from '../distributed/launch.ts';
import { openMpi } from '../distributed/mpi/communicator.ts';
import { anyRank, gatherTexts } from '../distributed/gather.ts';

const launch = launchOf(process.env)!;
const communicator = await openMpi({ launch, timeoutSeconds: Number(process.env['STAR_MPI_TIMEOUT'] ?? 60) });
const { rank, size, localRank } = communicator;

/** Sums of values that differ by rank, of an odd number of words. */
async function sums(type: 'f32' | 'f16'): Promise<string> {
  const count = 1025 * (type === 'f16' ? 2 : 1);
  const values = hashedValues(`${type} of ${rank}`, count);
  const bytes = communicator.allocate(1025 * 4);
  if (type === 'f32') new Float32Array(bytes.buffer as SharedArrayBuffer).set(values);
  else new Uint16Array(bytes.buffer as SharedArrayBuffer).set(Uint16Array.from(values, toHalfBits));
  await communicator.allReduceSum(bytes, type);
  return Buffer.from(bytes).toString('base64');
}

const what: Record<string, () => Promise<unknown>> = {
  async all() {
    const texts = await gatherTexts(communicator, 'x'.repeat(rank * 5));
    const own = Uint8Array.of(rank + 7, 3);
    await communicator.broadcast(own);
    const any = [await anyRank(communicator, rank === 1), await anyRank(communicator, false)];
    await communicator.barrier();
    return { rank, size, localRank, texts, own: [...own], any, f32: await sums('f32'), f16: await sums('f16') };
  },
  async late() {
    if (rank === 1) await new Promise((resolve) => setTimeout(resolve, 20_000));
    return communicator.barrier();
  },
  async throws() {
    if (rank === 2) throw new Error('a reason');
    return communicator.barrier();
  },
};
try {
  const result = await what[process.argv[2]!]!();
  const results = await gatherTexts(communicator, JSON.stringify(result ?? null));
  // One alone writes: launchers mix the lines of several.
  if (rank === 0) process.stdout.write(`[${results.join(',')}]`);
  await communicator.close();
} catch (error) {
  await communicator.abort((error as Error).message);
}

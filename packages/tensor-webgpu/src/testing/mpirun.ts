import { type ChildProcessWithoutNullStreams, spawn, type SpawnOptions, spawnSync } from 'node:child_process';

/** Open MPI wants to be told that root, and more processes than cores, are meant. */
const forOpenMpi = {
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
};

/** True, with the reason printed, where tests with several processes cannot run. */
export function isMpiMissing(): boolean {
  const isMissing = spawnSync('mpirun', ['--version']).status !== 0;
  if (isMissing)
    process.stderr.write('skipped: tests with several processes want an MPI with mpirun, such as mpich.\n');
  return isMissing;
}

/** Starts a command on so many ranks. */
export const startRanks = (
  count: number,
  command: readonly string[],
  { cwd, env }: Pick<SpawnOptions, 'cwd' | 'env'> = {},
): ChildProcessWithoutNullStreams =>
  spawn('mpirun', ['-n', `${count}`, ...command], { cwd, env: { ...process.env, ...forOpenMpi, ...env } });

/** How this process was started together with others. */
export interface Launch {
  /** The library that the launcher belongs to, where it tells. */
  readonly family: 'MPICH' | 'Open MPI' | undefined;
  /** How many processes the launcher started. */
  readonly size: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What launchers tell their processes: mpirun of Open MPI; mpirun of MPICH and its kin, and `srun --mpi=pmi2`; srun. */
const sizes: readonly { readonly name: string; readonly family: Launch['family'] }[] = [
  { name: 'OMPI_COMM_WORLD_SIZE', family: 'Open MPI' },
  { name: 'PMI_SIZE', family: 'MPICH' },
  { name: 'SLURM_STEP_NUM_TASKS', family: undefined },
];

/** The launch that an environment tells of; undefined for a process that was started by itself. */
export function launchOf(environment: Environment): Launch | undefined {
  for (const { name, family } of sizes) {
    const size = Number(environment[name]);
    if (size > 1) return { family: family ?? (environment['PMIX_RANK'] ? 'Open MPI' : undefined), size };
  }
  return undefined;
}

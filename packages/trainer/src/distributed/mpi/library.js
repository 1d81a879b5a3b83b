// The system's MPI, found when it is wanted. Plain JavaScript, because the thread that owns MPI is started of the file as it is, from source too.
const { default: koffi } = await import('koffi').catch(() => {
  throw new Error('mpi: the npm package koffi must be installed, got none. Install it beside @star-webgpu/trainer.');
});

/** @typedef {number | bigint | object | null} Handle An MPI object: a number in MPICH, an address in Open MPI. */

/**
 * @typedef {object} Mpi
 * @property {string} path
 * @property {'MPICH' | 'Open MPI'} family
 * @property {Record<string, (...values: unknown[]) => number>} call Functions without their prefix; each gives an error code.
 * @property {Record<'world' | 'byte' | 'float' | 'sum' | 'errorsReturn', Handle>} handles
 * @property {number | null} ignoreStatuses
 * @property {(count: number) => Int32Array | BigUint64Array} requests
 */

/** Names by which dynamic linkers know the two families: the ABI of MPICH, which Intel's, Cray's and MVAPICH share, and Open MPI's. */
const names = {
  MPICH: ['libmpi.so.12', 'libmpich.so.12', 'libmpi.12.dylib', 'libmpich.12.dylib'],
  'Open MPI': ['libmpi.so.40', 'libmpi.40.dylib'],
};

/** Numbers of MPICH's ABI, from its mpi.h. */
const mpichHandles = {
  world: 0x44000000,
  byte: 0x4c00010d,
  float: 0x4c00040a,
  sum: 0x58000003,
  errorsReturn: 0x54000001,
};

/** Variables whose addresses are Open MPI's handles. */
const openMpiSymbols = {
  world: 'ompi_mpi_comm_world',
  byte: 'ompi_mpi_byte',
  float: 'ompi_mpi_float',
  sum: 'ompi_mpi_op_sum',
  errorsReturn: 'ompi_mpi_errors_return',
};

/** @param {string} handle type of handles. */
const signatures = (handle) => ({
  Init_thread: 'int MPI_Init_thread(void *, void *, int, _Out_ int *)',
  Comm_rank: `int MPI_Comm_rank(${handle}, _Out_ int *)`,
  Comm_size: `int MPI_Comm_size(${handle}, _Out_ int *)`,
  Comm_set_errhandler: `int MPI_Comm_set_errhandler(${handle}, ${handle})`,
  Error_string: 'int MPI_Error_string(int, void *, _Out_ int *)',
  Irecv: `int MPI_Irecv(void *, int, ${handle}, int, int, ${handle}, void *)`,
  Isend: `int MPI_Isend(void *, int, ${handle}, int, int, ${handle}, void *)`,
  Testall: 'int MPI_Testall(int, void *, _Out_ int *, size_t)',
  Test: 'int MPI_Test(void *, _Out_ int *, size_t)',
  Reduce_local: `int MPI_Reduce_local(void *, void *, int, ${handle}, ${handle})`,
  Abort: `int MPI_Abort(${handle}, int)`,
  Finalize: 'int MPI_Finalize()',
});

/** @param {import('koffi').IKoffiLib} library @param {string} path @returns {Mpi} */
function bind(library, path) {
  const address = (/** @type {string} */ name) => library.symbol(name, 'int');
  let world;
  try {
    world = address(openMpiSymbols.world);
  } catch {
    world = undefined;
  }
  const isOpenMpi = world !== undefined;
  const call = Object.fromEntries(
    Object.entries(signatures(isOpenMpi ? 'void *' : 'int')).map(([name, text]) => [name, library.func(text)]),
  );
  return {
    path,
    family: isOpenMpi ? 'Open MPI' : 'MPICH',
    call,
    handles: isOpenMpi
      ? /** @type {Mpi['handles']} */ (
          Object.fromEntries(Object.entries(openMpiSymbols).map(([key, name]) => [key, address(name)]))
        )
      : mpichHandles,
    // MPI_STATUSES_IGNORE, which is MPI_STATUS_IGNORE too.
    ignoreStatuses: isOpenMpi ? 0 : 1,
    requests: (count) => (isOpenMpi ? new BigUint64Array(count) : new Int32Array(count)),
  };
}

/**
 * Loads the MPI of a launcher.
 * @param {{ family: 'MPICH' | 'Open MPI' | undefined, path: string | undefined }} wanted
 * @returns {Mpi}
 */
export function loadMpi({ family, path }) {
  const order = family === 'Open MPI' ? ['Open MPI', 'MPICH'] : ['MPICH', 'Open MPI'];
  const candidates = path ? [path] : [...order.flatMap((name) => names[name]), 'libmpi.so'];
  const faults = [];
  for (const candidate of candidates) {
    try {
      // Open MPI's own plugins look for its symbols among the global ones.
      return bind(koffi.load(candidate, { global: true }), candidate);
    } catch (error) {
      faults.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(
    `mpi: a library of MPICH or Open MPI must be there, got ${[...new Set(faults)].join('; ')}. Install one, or name its file in STAR_MPI_LIBRARY.`,
  );
}

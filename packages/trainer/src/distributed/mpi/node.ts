/** Settings of UCX, which MPICH and Open MPI send with. */
const settings = {
  // Its hooks into memory calls are tried out by moving the end of the heap, which breaks the heap if another thread allocates just then.
  UCX_MEM_EVENTS: 'n',
  // Its handler of SIGSEGV allocates, and so waits for ever behind a fault in malloc: a process that is lost must end to be noticed.
  UCX_HANDLE_ERRORS: 'none',
};

/**
 * Makes UCX fit for a process of many threads; what is set already stays. To be called on the main thread, whose variables alone C sees,
 * before MPI is loaded.
 */
export function prepareUcx(): void {
  for (const [name, value] of Object.entries(settings)) process.env[name] ??= value;
}

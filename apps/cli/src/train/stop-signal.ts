import { say } from '../output.ts';

/** Exit code of a run that the machine's scheduler stopped, and that goes on when it is queued again: EX_TEMPFAIL of sysexits.h. */
const requeueExitCode = 75;

const interruptedExitCode = 130;

/** What stops a run, and the exit code that tells why. SIGUSR1 is what Slurm is asked to send before the time is up. */
const exitCodes = { SIGINT: interruptedExitCode, SIGTERM: requeueExitCode, SIGUSR1: requeueExitCode } as const;

/**
 * Aborted by Ctrl-C, SIGTERM and SIGUSR1, with the exit code as the reason. Ctrl-C once more ends the process at once; other signals
 * do not, as schedulers send several while a run still saves.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const [name, code] of Object.entries(exitCodes) as [keyof typeof exitCodes, number][])
    process.on(name, () => {
      if (!controller.signal.aborted) {
        say(`\n${name}: saving and stopping behind the running step; Ctrl-C stops at once`);
        controller.abort(code);
      } else if (name === 'SIGINT') process.exit(interruptedExitCode);
    });
  return controller.signal;
}

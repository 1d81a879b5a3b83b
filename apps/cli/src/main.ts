#!/usr/bin/env node
import { CommanderError } from 'commander';
import { say } from './output.ts';
import { commandNames, createProgram } from './program.ts';

/** Commands that the arguments name; all of them for help, and to say that there is no such command. */
const named = new Set(process.argv.slice(2).filter((word) => commandNames.includes(word)));
const program = await createProgram(named.size ? [...named] : commandNames);

/** A reader that has seen enough, such as `head`, ends the command without a complaint. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

/** 0 for success and help, 2 for wrong usage, 130 after an interrupt, 1 for every other failure; a stopped training sets its own. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof Error && error.name === 'AbortError' ? 130 : 1;
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) say(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = exitCodeOf(error);
}

#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { addBench } from './commands/bench.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEdit } from './commands/edit.ts';
import { addEvaluate } from './commands/evaluate.ts';
import { addExport } from './commands/export.ts';
import { addPack } from './commands/pack.ts';
import { addSample } from './commands/sample.ts';
import { addTokenize } from './commands/tokenize.ts';
import { addTrain } from './commands/train.ts';
import { say } from './output.ts';

const program = new Command('star')
  .description('STAR, the scale-wise text-to-image model, on WebGPU')
  .option('--adapter <name>', 'hardware, lavapipe, swiftshader, or part of an adapter’s name')
  .option('--json', 'print results for machines')
  .exitOverride()
  .addHelpText('after', '\nExample:\n  star sample "red apple"');
for (const add of [addSample, addEdit, addPack, addExport, addTokenize, addTrain, addEvaluate, addDoctor, addBench])
  add(program);
for (const command of program.commands) command.exitOverride();

/** A reader that has seen enough, such as `head`, ends the command without a complaint. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

/** 0 for success and help, 2 for wrong usage, 130 after an interrupt, 1 for every other failure. */
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

#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { say } from './output.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('star')
  .description('STAR, the scale-wise text-to-image model, on WebGPU')
  .version(version)
  .option('--adapter <name>', 'hardware, lavapipe, swiftshader, or part of an adapter’s name')
  .option('--json', 'print results for machines')
  .exitOverride()
  .addHelpText('after', '\nExample:\n  star sample "red apple"');

/** Where each command is: only what is asked for is loaded, as decoders and adapters take time and memory. */
const commands: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  sample: async () => (await import('./commands/sample.ts')).addSample,
  edit: async () => (await import('./commands/edit.ts')).addEdit,
  pack: async () => (await import('./commands/pack.ts')).addPack,
  data: async () => (await import('./commands/data.ts')).addData,
  export: async () => (await import('./commands/export.ts')).addExport,
  tokenize: async () => (await import('./commands/tokenize.ts')).addTokenize,
  train: async () => (await import('./commands/train.ts')).addTrain,
  runs: async () => (await import('./commands/runs.ts')).addRuns,
  merge: async () => (await import('./commands/merge.ts')).addMerge,
  evaluate: async () => (await import('./commands/evaluate.ts')).addEvaluate,
  convert: async () => (await import('./commands/convert.ts')).addConvert,
  inspect: async () => (await import('./commands/inspect.ts')).addInspect,
  verify: async () => (await import('./commands/verify.ts')).addVerify,
  serve: async () => (await import('./commands/serve.ts')).addServe,
  doctor: async () => (await import('./commands/doctor.ts')).addDoctor,
  bench: async () => (await import('./commands/bench.ts')).addBench,
};

/** Commands that the arguments name; all of them for help, and to say that there is no such command. */
const named = process.argv.slice(2).filter((word) => Object.hasOwn(commands, word));
for (const name of named.length ? new Set(named) : Object.keys(commands)) (await commands[name]!())(program);
for (const command of program.commands) command.exitOverride();

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

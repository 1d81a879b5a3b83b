import { readFileSync } from 'node:fs';
import { Command } from 'commander';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

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

/** The program, or one of its commands. */
export type Program = Command;

/** Names of all commands. */
export const commandNames: readonly string[] = Object.keys(commands);

/** The `star` program with some of its commands. */
export async function createProgram(names: readonly string[]): Promise<Command> {
  const program = new Command('star')
    .description('STAR, the scale-wise text-to-image model, on WebGPU')
    .version(version)
    .option('--adapter <name>', 'hardware, lavapipe, swiftshader, or part of an adapter’s name')
    .option('--json', 'print results for machines')
    .exitOverride()
    .addHelpText('after', '\nExample:\n  star sample "red apple"');
  for (const name of names) (await commands[name]!())(program);
  for (const command of program.commands) command.exitOverride();
  return program;
}

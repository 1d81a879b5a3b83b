#!/usr/bin/env node
import { Command } from 'commander';
import { addTrain } from './commands/train.ts';
import { say } from './output.ts';

const program = new Command('star')
  .description('STAR, the scale-wise text-to-image model, on WebGPU')
  .option('--adapter <name>', 'hardware, lavapipe, swiftshader, or part of an adapter’s name');
addTrain(program);

try {
  await program.parseAsync();
} catch (error) {
  say(error instanceof Error ? `error: ${error.message}` : String(error));
  process.exitCode = 1;
}

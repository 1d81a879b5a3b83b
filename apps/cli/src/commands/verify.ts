import type { Command } from 'commander';
import { openCheckpoint } from '../checkpoints/open-checkpoint.ts';
import { type Deviation, type Verification, verifyModels } from '../conformance/verify-models.ts';
import { openSession } from '../device.ts';
import { openModel } from '../model.ts';
import { numberIn } from '../numbers.ts';
import { print, say } from '../output.ts';

interface Flags {
  readonly model: string;
  readonly activations: string;
  readonly tolerance: number;
  readonly json?: boolean;
  readonly adapter?: string;
}

/** Adds `star verify`. */
export function addVerify(program: Command): void {
  program
    .command('verify')
    .description('compare a converted model, block by block, with outputs that your own PyTorch wrote')
    .requiredOption('--model <folder>', 'a model folder with star, vqvae and text')
    .requiredOption('--activations <file>', 'inputs and outputs of modules, as tools/write_activations.py writes them')
    .option('--tolerance <error>', 'largest relative error of a block', numberIn(0, 1), 1e-3)
    .addHelpText('after', '\nExample:\n  star verify --model models/star-256-d16 --activations activations.safetensors')
    .action(runVerify);
}

async function runVerify(_: unknown, command: Command): Promise<void> {
  const { model, activations, tolerance, json, adapter } = command.optsWithGlobals<Flags>();
  const { tensors } = await openCheckpoint(activations);
  const session = await openSession(adapter);
  const pipeline = await openModel(model);
  const verification = await verifyModels(pipeline, tensors);
  pipeline.dispose();
  const { description } = session;
  await session.close();
  if (!verification.deviations.length)
    throw new Error(
      `verify: ${activations} must hold inputs and outputs of modules, got ${tensors.size} tensors of other names. Write it with tools/write_activations.py.`,
    );
  const beyond = verification.deviations.filter(({ error }) => !(error <= tolerance));
  print(json ? JSON.stringify({ adapter: description, tolerance, ...verification }) : linesOf(verification).join('\n'));
  if (beyond.length)
    throw new Error(
      `verify: errors must be at most ${tolerance}, got larger ones in ${beyond.map(({ name }) => name).join(', ')}. The first is where to look.`,
    );
  say(`all ${verification.deviations.length} outputs within ${tolerance} on ${description}`);
}

/** A line a module, then the largest error of each model. */
function linesOf({ deviations, unmatched }: Verification): string[] {
  const lineOf = ({ name, error }: Deviation): string => `${error.toExponential(1).padStart(8)}  ${name}`;
  const parts = [...new Set(deviations.map(({ name }) => name.split('/')[0]!))];
  const largest = parts.map((part) =>
    deviations.filter(({ name }) => name.startsWith(`${part}/`)).reduce((a, b) => (b.error > a.error ? b : a)),
  );
  return [
    ...deviations.map(lineOf),
    ...unmatched.map((name) => `    none  ${name}`),
    '',
    ...largest.map((one) => `largest: ${lineOf(one).trim()}`),
  ];
}

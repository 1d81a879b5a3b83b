import type { Command } from 'commander';
import { storedSize, type StoredTensor } from '@star-webgpu/tensor-webgpu';
import { describeModel } from '../checkpoints/describe.ts';
import { type Checkpoint, openCheckpoint } from '../checkpoints/open-checkpoint.ts';
import { listedPatchNumbers } from '../checkpoints/patch-numbers.ts';
import { findModels } from '../checkpoints/recognise.ts';
import { structureLines } from '../checkpoints/structure.ts';
import { byteSize, print } from '../output.ts';

interface Flags {
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Tensors that are listed without --all. */
const fewTensors = 20;

/** Adds `star inspect`. */
export function addInspect(program: Command): void {
  program
    .command('inspect')
    .argument('<path>', 'a PyTorch or safetensors file, an index of shards, or a folder')
    .description('list what a file of weights holds, and say what it is; nothing in it is executed')
    .option('--all', `every tensor, not only the first ${fewTensors}`)
    .addHelpText('after', '\nExamples:\n  star inspect vae_ch160v4096z32.pth\n  star inspect text_encoder --all')
    .action(runInspect);
}

async function runInspect(path: string, _: unknown, command: Command): Promise<void> {
  const { all = false, json } = command.optsWithGlobals<Flags>();
  const checkpoint = await openCheckpoint(path);
  const report = reportOf(path, checkpoint);
  print(json ? JSON.stringify(report) : textOf(report, checkpoint, all));
}

interface Report {
  readonly path: string;
  readonly format: string;
  readonly bytes: number;
  readonly files: readonly string[];
  readonly models: readonly { readonly kind: string; readonly at: string; readonly title: string }[];
  readonly totals: {
    readonly tensors: number;
    readonly elements: number;
    readonly bytes: number;
    readonly dtypes: Readonly<Record<string, number>>;
  };
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly bytes: number;
  }[];
}

function reportOf(path: string, { format, bytes, files, tensors, value }: Checkpoint): Report {
  const patchNumbers = listedPatchNumbers(value);
  const listed = [...tensors].map(([name, tensor]) => ({
    name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    bytes: storedSize(tensor),
  }));
  const models = findModels(tensors).map((found) => ({
    kind: found.kind,
    at: found.prefix.slice(0, -1),
    title: describeModel(found, patchNumbers),
  }));
  return { path, format, bytes, files, models, totals: totalsOf([...tensors.values()]), tensors: listed };
}

function totalsOf(tensors: readonly StoredTensor[]): Report['totals'] {
  const dtypes: Record<string, number> = {};
  for (const { dtype } of tensors) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  const sum = (of: (tensor: StoredTensor) => number): number =>
    tensors.reduce((total, tensor) => total + of(tensor), 0);
  const elements = sum(({ shape }) => shape.reduce((product, side) => product * side, 1));
  return { tensors: tensors.length, elements, bytes: sum(storedSize), dtypes };
}

function textOf(report: Report, { value }: Checkpoint, all: boolean): string {
  const { path, format, bytes, files, models, totals, tensors } = report;
  const known = models.map(({ title, at }) => `${title}${at ? ` (at ${at})` : ''}`);
  const shown = all ? tensors : tensors.slice(0, fewTensors);
  const rest = tensors.length - shown.length;
  const types = Object.entries(totals.dtypes).map(([dtype, count]) => `${count} ${dtype}`);
  return [
    `${path}: ${format}, ${byteSize(bytes)}${files.length > 1 ? ` in ${files.length} files` : ''}`,
    ...(known.length ? known : ['no model that is known here']),
    ...structureLines(value),
    '',
    ...shown.map(tensorLine),
    ...(rest ? [`  and ${rest} more; --all lists them`] : []),
    '',
    `${totals.tensors} tensors, ${totals.elements} elements, ${byteSize(totals.bytes)} (${types.join(', ')})`,
  ].join('\n');
}

const tensorLine = ({ name, dtype, shape, bytes }: Report['tensors'][number]): string =>
  `  ${dtype.padEnd(5)} ${byteSize(bytes).padStart(8)}  ${`[${shape}]`.padEnd(16)} ${name}`;

import { type Command, InvalidArgumentError, Option } from 'commander';
import { publishedRefiner } from '@star-webgpu/star-transformer';
import { patchNumberPresets } from '@star-webgpu/vqvae/scales';
import { convertClip } from '../checkpoints/convert-clip.ts';
import { convertInception } from '../checkpoints/convert-inception.ts';
import { convertLpips } from '../checkpoints/convert-lpips.ts';
import { convertStar } from '../checkpoints/convert-star.ts';
import { convertText, smallFiles } from '../checkpoints/convert-text.ts';
import { convertVqvae } from '../checkpoints/convert-vqvae.ts';
import type { Conversion, ConversionOptions } from '../checkpoints/conversion.ts';
import { type Checkpoint, openCheckpoint } from '../checkpoints/open-checkpoint.ts';
import { withNullDevice } from '../null-device.ts';
import { ownConfig } from '../checkpoints/own-config.ts';
import { findModels, type Found, type Kind, kinds } from '../checkpoints/recognise.ts';
import { writeModel, type WrittenModel } from '../checkpoints/write-model.ts';
import { openSession } from '../device.ts';
import { wholeNumber } from '../numbers.ts';
import { byteSize, interruptSignal, print, Progress, say } from '../output.ts';

interface Flags {
  readonly out: string;
  readonly kind?: Kind;
  readonly at?: string;
  readonly dtype: 'f32' | 'f16';
  readonly resolution?: keyof typeof patchNumberPresets;
  readonly patchNumbers?: readonly number[];
  readonly crossAttention?: 'first-sample' | 'per-sample';
  readonly refiner: boolean;
  readonly sampleFrom?: number;
  readonly seed: number;
  readonly tokenizer?: string;
  readonly lpipsWeights?: string;
  readonly force?: boolean;
  readonly load?: boolean;
  readonly json?: boolean;
  readonly adapter?: string;
}

/** Results up to this size are loaded onto the adapter by default, to see that they work. */
const loadedBytes = 1e9;

/** Adds `star convert`. */
export function addConvert(program: Command): void {
  program
    .command('convert')
    .argument('<source>', 'published weights: a .pth, .bin or .safetensors file, an index of shards, or their folder')
    .description('make a model folder of published weights; nothing in them is executed')
    .requiredOption('--out <folder>', 'the model folder; it is written whole or not at all')
    .addOption(
      new Option('--kind <kind>', 'which model of the file; the first that is found by default').choices(kinds),
    )
    .option('--at <name>', 'where in the file the model lies, if there are several')
    .addOption(new Option('--dtype <type>', 'how numbers are kept').choices(['f32', 'f16']).default('f32'))
    .addOption(
      new Option(
        '--resolution <px>',
        'patch numbers of a preset: of a STAR for another resolution, or of the STAR that a VQVAE serves',
      )
        .choices(Object.keys(patchNumberPresets))
        .conflicts('patchNumbers'),
    )
    .option('--patch-numbers <list>', 'the same in numbers, such as 1,2,3,4', numberList)
    .addOption(
      new Option(
        '--cross-attention <way>',
        'STAR: whose text each picture of a batch sees; that of the first by default, as released weights want',
      ).choices(['first-sample', 'per-sample']),
    )
    .option('--no-refiner', 'STAR: leave a refiner out')
    .option(
      '--sample-from <scale>',
      `STAR: first scale of the refiner; ${publishedRefiner.sampleFrom} by default, as published`,
      wholeNumber(0),
    )
    .option('--seed <number>', 'STAR: seed of rows for scales that the file does not have', wholeNumber(0), 0)
    .option('--tokenizer <folder>', 'text: folder of the tokenizer; beside the weights by default')
    .option('--lpips-weights <file>', 'LPIPS: the file of lin0 to lin4, where the source is torchvision’s network')
    .option('--force', 'replace a folder that is there')
    .option('--load', 'load the result onto the adapter at the end; done for up to 1 GB unless --no-load')
    .option('--no-load')
    .addHelpText(
      'after',
      '\nExamples:\n  star convert vae_ch160v4096z32.pth --out models/star-256/vqvae\n  star convert text_encoder --out models/star-256/text --dtype f16',
    )
    .action(runConvert);
}

/** Reads a list of rising whole numbers. */
function numberList(text: string): number[] {
  const numbers = text.split(',').map(Number);
  if (numbers.every((value, i) => Number.isInteger(value) && value > (numbers[i - 1] ?? 0))) return numbers;
  throw new InvalidArgumentError('It must be rising whole numbers with commas between them.');
}

async function runConvert(source: string, _: unknown, command: Command): Promise<void> {
  const flags = command.optsWithGlobals<Flags>();
  const signal = interruptSignal();
  const checkpoint = await openCheckpoint(source);
  const found = chosen(findModels(checkpoint.tensors), flags, source);
  const own = checkpoint.value ? undefined : await ownConfig(checkpoint.folder, found.prefix);
  const options = { ...optionsOf(flags), ...(own && { own }) };
  const conversion = await withNullDevice(() => conversionOf(found, checkpoint, options));
  say(`${source}: ${conversion.title}${found.prefix ? ` (at ${found.prefix.slice(0, -1)})` : ''}`);
  const progress = new Progress();
  const written = await writeModel(conversion, {
    folder: flags.out,
    dtype: flags.dtype === 'f16' ? 'F16' : 'F32',
    force: flags.force ?? false,
    signal,
    onBytes: (done, all) => progress.show(`${byteSize(done)} of ${byteSize(all)}`),
  });
  progress.end();
  const loaded = await loadedOn(conversion, written, flags);
  report({ flags, conversion, written, loaded });
}

/** The model of a file that is meant. @throws Error listing what there is, where that is unclear */
function chosen(models: readonly Found[], { kind, at }: Flags, source: string): Found {
  const fitting = models.filter(
    (model) => (kind ?? model.kind) === model.kind && (at ?? model.prefix.slice(0, -1)) === model.prefix.slice(0, -1),
  );
  const first = fitting.filter((model) => model.kind === fitting[0]?.kind);
  const best = first.length > 1 ? first.filter(({ prefix }) => /\bvar_wo_ddp\b/.test(prefix)) : first;
  if (best.length === 1) return best[0]!;
  const there =
    models.map((model) => `${model.kind} at "${model.prefix.slice(0, -1)}"`).join(', ') || 'none that is known';
  throw new Error(
    `convert: ${source} must hold one model${kind ? ` of kind ${kind}` : ''}${at === undefined ? '' : ` at "${at}"`}, got ${there}. Choose with --kind and --at; star inspect shows what is inside.`,
  );
}

function optionsOf({
  resolution,
  patchNumbers,
  tokenizer,
  lpipsWeights,
  seed,
  crossAttention,
  refiner,
  sampleFrom,
}: Flags): ConversionOptions {
  const numbers = patchNumbers ?? (resolution && patchNumberPresets[resolution]);
  return {
    seed,
    refiner,
    ...(crossAttention && { crossAttention }),
    ...(sampleFrom !== undefined && { sampleFrom }),
    ...(numbers && { patchNumbers: numbers }),
    ...(tokenizer !== undefined && { tokenizer }),
    ...(lpipsWeights !== undefined && { lpipsWeights }),
  };
}

async function conversionOf(
  found: Found,
  { folder, value }: Checkpoint,
  options: ConversionOptions,
): Promise<Conversion> {
  switch (found.kind) {
    case 'star':
      return convertStar(found, value, options);
    case 'vqvae':
      return convertVqvae(found, options);
    case 'clip':
      return convertClip(found, folder, options);
    case 'inception':
      return convertInception(found);
    case 'lpips':
      return convertLpips(found, options);
    default:
      return convertText(found, folder, options);
  }
}

/** Loads the result as its users will. Gives the adapter, or undefined where the result is large and nobody asked. */
async function loadedOn({ load }: Conversion, { bytes }: WrittenModel, flags: Flags): Promise<string | undefined> {
  if (!(flags.load ?? bytes <= loadedBytes)) return undefined;
  const session = await openSession(flags.adapter);
  try {
    (await load(smallFiles(flags.out))).dispose();
    await session.device.idle();
    return session.description;
  } finally {
    await session.close();
  }
}

interface Outcome {
  readonly flags: Flags;
  readonly conversion: Conversion;
  readonly written: WrittenModel;
  readonly loaded: string | undefined;
}

function report({ flags, conversion: { kind, title, notes }, written, loaded }: Outcome): void {
  const { out, dtype, json } = flags;
  const peakMemory = 1024 * process.resourceUsage().maxRSS;
  const result = { kind, title, folder: out, dtype, ...written, notes, loaded: loaded ?? null, peakMemory };
  if (json) return print(JSON.stringify(result));
  const { tensors, parameters, bytes } = written;
  for (const note of notes) say(note);
  say(`${tensors} tensors, ${parameters} numbers, ${byteSize(bytes)} as ${dtype}: read back and compared`);
  say(loaded ? `loaded on ${loaded}` : 'not loaded onto an adapter; --load does that');
  say(`at most ${byteSize(peakMemory)} of memory`);
  print(out);
}
